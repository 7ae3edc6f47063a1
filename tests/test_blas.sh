#!/bin/sh
# Builds and runs tests/test_blas.c where a CBLAS is installed. Environment: CC, CFLAGS, BUILD.
cd "$(dirname "$0")/.." || exit 1
CC=${CC:-cc} BUILD=${BUILD:-build}
mkdir -p "$BUILD" || exit 1
OPENBLAS_NUM_THREADS=1
export OPENBLAS_NUM_THREADS
for library in $(sh tests/find_cblas.sh); do
    $CC ${CFLAGS:--O1} tests/test_blas.c -o "$BUILD/test_blas" "$library" -lm || break
    exec "$BUILD/test_blas" "$@"
done
if [ -n "$library" ]; then
    echo "FAIL blas: tests/test_blas.c does not build with $library"
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
fi
echo "SKIP blas: no cblas.h, or no library to go with it"
echo "0 passed, 0 failed, 1 skipped"
