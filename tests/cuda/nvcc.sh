#!/bin/sh
# Compiles cvxrelu_cuda.cuh with nvcc for every architecture from sm_75 (or the oldest that the
# toolkit knows) to sm_90, with PTX of the last for later cards, and links the programs of this
# directory (all but test_cuda for the oldest and PTX only) and the examples. Runs nothing. Skipped
# where there is no nvcc. Environment: NVCC, BUILD.
cd "$(dirname "$0")/../.." || exit 1
NVCC=${NVCC:-nvcc} BUILD=${BUILD:-build}
if ! command -v "$NVCC" >/dev/null 2>&1; then
    echo "SKIP nvcc: no $NVCC"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
fi
mkdir -p "$BUILD" || exit 1
known=$($NVCC --list-gpu-arch | tr '\n' ' ') archs="" first="" last="" passed=0 failed=0
for arch in 75 80 86 87 89 90; do
    case " $known" in *" compute_$arch "*)
        archs="$archs -gencode arch=compute_$arch,code=sm_$arch" last=$arch
        first=${first:-$arch} ;;
    esac
done
ptx="-gencode arch=compute_$last,code=compute_$last"
echo "nvcc $($NVCC --version | sed -n 's/.*release \([^,]*\),.*/\1/p'):$archs $ptx"
for program in tests/cuda/*.cu examples/*.cu; do
    [ -f "$program" ] || continue
    grep -q '<nccl.h>' "$program" && continue # the CI has a step of its own for it
    output=$BUILD/$(basename "$program" .cu)_nvcc
    case $program in                          # test_cuda has every kernel in every type
    *test_cuda.cu) some=$archs ;;
    *) some="-gencode arch=compute_$first,code=sm_$first" ;;
    esac
    if $NVCC -std=c++11 -O1 -t 2 -I. $some $ptx "$program" -o "$output" -lcublas -lcusolver
    then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL nvcc: $program"
    fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
