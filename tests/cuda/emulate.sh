#!/bin/sh
# cvxrelu_cuda.cuh on the CPU: builds the programs of this directory over the emulation of
# tests/cuda/emulation and runs test_cuda (the kernels), after bench_cuda on a few rows; or, where
# PROGRAM is fit_cuda, that one (whole solves); solve_cuda: under bench_solve.py, tiny sizes.
# Arguments: compiler flags (sanitizers), or none.
# Environment: CXX, BUILD, PROGRAM, FILTER (tests of the program). Needs <ucontext.h> and
# __builtin_setjmp: else it is skipped.
cd "$(dirname "$0")/../.." || exit 1
CXX=${CXX:-c++} BUILD=${BUILD:-build}
flags="-std=c++11 -x c++ -fno-strict-aliasing -Wall -Wextra -Wno-unknown-pragmas \
-Wno-unused-function -Itests/cuda/emulation"
dir=$BUILD/cuda.$$
mkdir -p "$dir" || exit 1
trap 'rm -rf "$dir"' EXIT
cat >"$dir/probe.cpp" <<'END'
#include <ucontext.h>
int main() { ucontext_t u; void *jump[5]; return __builtin_setjmp(jump) || getcontext(&u); }
END
if ! $CXX "$@" "$dir/probe.cpp" -o "$dir/probe" 2>/dev/null || ! "$dir/probe"; then
    echo "SKIP cuda emulation: no compiler with <ucontext.h> and __builtin_setjmp, or not with '$*'"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
fi
[ $# -gt 0 ] || set -- -O0
PROGRAM=${PROGRAM:-test_cuda}
if [ "$PROGRAM" = test_cuda ]; then
    $CXX "$@" $flags tests/cuda/bench_cuda.cu -o "$dir/bench" -lm || exit 1
    "$dir/bench" --quick --panels >"$dir/bench.txt" || { cat "$dir/bench.txt"; exit 1; }
fi
if [ "$PROGRAM$FILTER" = fit_cuda ]; then
    $CXX "$@" $flags -I. examples/11_cuda.cu -o "$dir/example" -lm || exit 1
    "$dir/example" 24 0.3 >"$dir/example.txt" && [ "$(tail -n 1 "$dir/example.txt")" = "agree 1" ] ||
        { cat "$dir/example.txt"; exit 1; }
fi
$CXX "$@" $flags -pthread "tests/cuda/$PROGRAM.cu" -o "$dir/test" -lm || exit 1
if [ "$PROGRAM" = solve_cuda ]; then
    python3 tests/cuda/bench_solve.py --dry --threads 2 --solve "$dir/test"
    exit
fi
"$dir/test" $FILTER
