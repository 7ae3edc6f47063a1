#!/bin/sh
# Compiles and links the programs of this directory and the examples with nvcc for every
# architecture from sm_75 (or the oldest that the toolkit knows) to sm_90, with PTX of the last for
# later cards. Architectures that see the same source (__CUDA_ARCH__ >= 800) share their PTX: that
# takes two thirds of the time. Runs nothing. Skipped where there is no nvcc. Environment: NVCC, BUILD.
cd "$(dirname "$0")/../.." || exit 1
NVCC=${NVCC:-nvcc} BUILD=${BUILD:-build}
if ! command -v "$NVCC" >/dev/null 2>&1; then
    echo "SKIP nvcc: no $NVCC"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
fi
mkdir -p "$BUILD" || exit 1
known=$($NVCC --list-gpu-code | tr '\n' ' ') archs="" passed=0 failed=0
for set in 75 80,86,87,89 90; do
    codes=""
    for arch in $(echo $set | tr , ' '); do
        case " $known" in *" sm_$arch "*) codes="$codes,sm_$arch" last=$arch ;; esac
    done
    [ -z "$codes" ] || archs="$archs -gencode arch=compute_${set%%,*},code=[${codes#,}]"
done
archs="$archs -gencode arch=compute_$last,code=compute_$last"
echo "nvcc $($NVCC --version | sed -n 's/.*release \([^,]*\),.*/\1/p'):$archs"
for program in tests/cuda/*.cu examples/*.cu; do
    [ -f "$program" ] || continue
    grep -q '<nccl.h>' "$program" && continue # the CI has a step of its own for it
    output=$BUILD/$(basename "$program" .cu)_nvcc
    if $NVCC -std=c++11 -O1 -t 2 -I. $archs "$program" -o "$output" -lcublas -lcusolver
    then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL nvcc: $program"
    fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
