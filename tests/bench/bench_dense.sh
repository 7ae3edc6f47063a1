#!/bin/sh
# Builds and runs bench_dense.c with the flags of argument 1; further arguments choose classes.
# Environment: CC, BUILD.
cd "$(dirname "$0")/../.." || exit 1
CC=${CC:-cc} BUILD=${BUILD:-build} flags=$1
shift
mkdir -p "$BUILD" || exit 1
library=$(sh tests/find_cblas.sh)
case $library in
-lopenblas) have='-DHAVE_CBLAS -DHAVE_POTRF' ;;
?*) have=-DHAVE_CBLAS ;;
*) have= ;;
esac
$CC $flags $have tests/bench/bench_dense.c -o "$BUILD/bench_dense" $library -lm || exit 1
OPENBLAS_NUM_THREADS=1 "$BUILD/bench_dense" "$@"
