#!/bin/sh
# Builds and runs bench_gemm.c with the flags of argument 1. Environment: CC, BUILD.
cd "$(dirname "$0")/../.." || exit 1
CC=${CC:-cc} BUILD=${BUILD:-build}
mkdir -p "$BUILD" || exit 1
library=$(sh tests/find_cblas.sh)
$CC $1 ${library:+-DHAVE_CBLAS} tests/bench/bench_gemm.c -o "$BUILD/bench_gemm" $library -lm || exit 1
OPENBLAS_NUM_THREADS=1 "$BUILD/bench_gemm"
