#!/bin/sh
# Builds and runs bench_operator.c with the flags of argument 1, passing on the rest.
# Environment: CC, BUILD.
cd "$(dirname "$0")/../.." || exit 1
CC=${CC:-cc} BUILD=${BUILD:-build} flags=$1
shift
mkdir -p "$BUILD" || exit 1
library=$(sh tests/find_cblas.sh)
$CC $flags ${library:+-DHAVE_CBLAS} tests/bench/bench_operator.c -o "$BUILD/bench_operator" \
    $library -lm || exit 1
OPENBLAS_NUM_THREADS=1 "$BUILD/bench_operator" "$@"
