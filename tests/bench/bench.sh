#!/bin/sh
# The benchmark: our table, then, where Python has scnn, the comparison; both also in
# $BUILD/bench.md. Arguments: --quick, --data DIR. Environment: BUILD, PYTHON.
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build} PYTHON=${PYTHON:-python3}
mkdir -p "$BUILD/bench_data" || exit 1
{
    "$BUILD/bench" "$@" || echo "FAIL bench: a problem missed its tolerance"
    echo
} | tee "$BUILD/bench.md"
"$PYTHON" tests/bench/bench_reference.py --bench "$BUILD/bench" --dir "$BUILD/bench_data" \
    --out "$BUILD/bench.md" "$@"
status=$?
if [ $status = 127 ]; then echo "SKIP reference: no $PYTHON"; fi
if [ $status = 127 ] || [ $status = 77 ]; then status=0; fi
! grep -q '^FAIL' "$BUILD/bench.md" && exit $status
