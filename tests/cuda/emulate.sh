#!/bin/sh
# The kernels of cvxrelu_cuda.cuh on the CPU: builds tests/cuda/test_cuda.cu over the emulation of
# tests/cuda/emulation and runs it, after the bench program on a few rows. Arguments: compiler flags (sanitizers), or none. Environment:
# CXX, BUILD. Needs <ucontext.h> and __builtin_setjmp: else it is skipped.
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
$CXX "$@" $flags tests/cuda/bench_cuda.cu -o "$dir/bench" -lm || exit 1
"$dir/bench" --quick --panels >"$dir/bench.txt" || { cat "$dir/bench.txt"; exit 1; }
$CXX "$@" $flags tests/cuda/test_cuda.cu -o "$dir/test" -lm || exit 1
"$dir/test"
