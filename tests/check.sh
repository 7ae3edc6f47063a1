#!/bin/sh
# The slow checks: tests, tool, examples and the CUDA companion over its emulation under the sanitizers
# (flags in argument 1), the tests at -Ofast, with small blocks and (parts of them) under valgrind and
# with OpenMP's threads.
# Environment: CC, LDLIBS, BUILD.
cd "$(dirname "$0")/.." || exit 1
CC=${CC:-cc} LDLIBS=${LDLIBS:--lm} BUILD=${BUILD:-build}
mkdir -p "$BUILD" || exit 1
echo 'int main(void) { return 0; }' >"$BUILD/probe.c"
skip() { echo "echo 'SKIP check: $1'; echo '0 passed, 0 failed, 1 skipped'"; }

if $CC $1 "$BUILD/probe.c" -o "$BUILD/probe" 2>/dev/null && "$BUILD/probe"; then
    main="$CC $1 -I. tests/test_main.c -o $BUILD/test_asan $LDLIBS && $BUILD/test_asan"
    tool="$CC $1 -I. examples/cvxrelu_cli.c -o $BUILD/cvxrelu_asan $LDLIBS &&
          sh tests/test_cli.sh $BUILD/cvxrelu_asan"
    examples="CFLAGS='$1' BUILD=$BUILD/asan sh tests/test_examples.sh"
    emulate="sh tests/cuda/emulate.sh -O0 -g -fsanitize=address,undefined -fno-sanitize-recover=all"
    cuda=$emulate fits="FILTER='sizes cda little card_that machine failing full keeps newton_s' PROGRAM=fit_cuda $emulate"
else
    main=$(skip "no address and undefined behaviour sanitizers") tool=$main examples=$main
    cuda=$main fits=$main
fi
if $CC -Ofast "$BUILD/probe.c" -o "$BUILD/probe" 2>/dev/null; then
    fast="$CC -Ofast -I. tests/test_main.c -o $BUILD/test_fast $LDLIBS && $BUILD/test_fast"
else
    fast=$(skip "no -Ofast")
fi
if command -v valgrind >/dev/null 2>&1; then
    grind="valgrind -q --error-exitcode=9 --leak-check=full $BUILD/test_main s01 s02 s03 s06 s07 \
           s17 s24"
else
    grind=$(skip "no valgrind")
fi
if $CC -fopenmp "$BUILD/probe.c" -o "$BUILD/probe" 2>/dev/null; then
    omp="$CC -O1 -fopenmp -I. tests/test_main.c -o $BUILD/test_openmp $LDLIBS &&
         OMP_WAIT_POLICY=passive $BUILD/test_openmp s22_threads"
else
    omp=$(skip "no OpenMP")
fi
small="$CC -O1 -DCVXRELU_SMALL -I. tests/test_main.c -o $BUILD/test_small $LDLIBS && $BUILD/test_small"
sh tests/run.sh "sanitizers: $main" "Ofast: $fast" "small blocks: $small" "tool: $tool" "examples: $examples" \
    "valgrind: $grind" "OpenMP: $omp" "cuda: $cuda" "cuda fit: $fits"
status=$?
rm -f "$BUILD/probe" "$BUILD/probe.c"
exit $status
