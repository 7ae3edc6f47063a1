#!/bin/sh
# Runs examples/12_mpi.c with 1, 2 and 4 ranks where there is an MPI: the last lines agree to
# 1e-10, the traffic is what the model says, and a rank that has bad rows or dies ends all of them.
# Environment: MPICC, MPIRUN, CFLAGS, LDLIBS, BUILD.
cd "$(dirname "$0")/.." || exit 1
MPICC=${MPICC:-mpicc} MPIRUN=${MPIRUN:-mpirun} CFLAGS=${CFLAGS:--O1} LDLIBS=${LDLIBS:--lm}
dir=${BUILD:-build}/mpi
mkdir -p "$dir" || exit 1
passed=0 failed=0
pass() { passed=$((passed + 1)); }
fail() { failed=$((failed + 1)); echo "FAIL mpi: $1"; }
if ! command -v "$MPICC" >/dev/null 2>&1 || ! command -v "$MPIRUN" >/dev/null 2>&1; then
    echo "SKIP mpi: no $MPICC or no $MPIRUN"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
fi
if ! $MPICC $CFLAGS -Wall -Wextra -I. examples/12_mpi.c -o "$dir/12_mpi" $LDLIBS; then
    echo "FAIL mpi: examples/12_mpi.c does not build"
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
fi
flags=
if "$MPIRUN" --version 2>/dev/null | grep -q 'Open MPI'; then
    # Ranks that wait let others run; a container may forbid copies between processes.
    flags="--oversubscribe --mca mpi_yield_when_idle 1 --mca btl_vader_single_copy_mechanism none"
    [ "$(id -u)" = 0 ] && flags="$flags --allow-run-as-root"
fi

# ranks NUMBER NAME ARGUMENTS...: runs the example; its last line must be the first run's, numbers
# to 1e-10.
ranks() {
    number=$1 name=$2 out=$dir/$2.$1
    shift 2
    if ! timeout 120 "$MPIRUN" $flags -n "$number" "$dir/12_mpi" "$@" >"$out" 2>&1; then
        tail -n 5 "$out"
        fail "$name ends badly with $number ranks"
        return
    fi
    grep '^40 iterations' "$out"
    line=$(tail -n 1 "$out")
    [ "$number" = 1 ] && want=$line
    if echo "$line" | awk -v want="$want" '{ n = split(want, w, " "); e = $2 - w[2]
        exit !(n == NF && n == 12 && e < 1e-10 * w[2] && -e < 1e-10 * w[2] && $6 == 1 && $12 == 1) }'
    then pass; else fail "$name with $number ranks ends with \`$line', with 1 rank \`$want'"; fi
}

awk 'BEGIN { srand(1); print "a,b,c,target"
    for (i = 0; i < 211; i++) { a = rand(); b = rand(); c = rand()
        printf "%.6f,%.6f,%.6f,%.6f\n", a, b, c, a * b - c * c + 0.1 * rand() } }' >"$dir/rows.csv"
for number in 1 2 4; do ranks $number made; done
head -n 8 "$dir/rows.csv" >"$dir/few.csv"
for number in 1 3; do ranks $number few "$dir/few.csv"; done
for number in 1 2 4; do ranks $number given "$dir/rows.csv"; done

# Lines of 75,000 characters are read whole; a row of another length is named.
awk -F, 'NR > 1 { printf "%s,%25000s,%25000s,%25000s\n", $1, $2, $3, $4 }' "$dir/rows.csv" \
    >"$dir/wide.csv"
ranks 2 wide "$dir/wide.csv"
sed '$s/,[^,]*$//' "$dir/rows.csv" >"$dir/ragged.csv"
if timeout 60 "$MPIRUN" $flags -n 2 "$dir/12_mpi" "$dir/ragged.csv" >"$dir/ragged.out" 2>&1
then fail "a row that lacks a number is taken"
elif grep -q 'row 211 has 3 numbers, the first has 4' "$dir/ragged.out"; then pass
else fail "a row that lacks a number is not named"; fi

# The last row, which is the last rank's, is not finite.
sed '$s/^[^,]*/nan/' "$dir/rows.csv" >"$dir/bad.csv"
timeout 60 "$MPIRUN" $flags -n 4 "$dir/12_mpi" "$dir/bad.csv" >"$dir/bad.out" 2>&1
status=$?
if [ $status != 0 ] && [ $status != 124 ] && grep -q 'rank 3: X holds NaN' "$dir/bad.out"; then pass
else fail "bad rows on one of 4 ranks: exit status $status"; fi

# The last rank dies while it computes.
awk 'BEGIN { srand(2); for (i = 0; i < 12000; i++) { for (j = 0; j < 40; j++) printf "%.4f,", rand()
    printf "%.4f\n", rand() } }' >"$dir/many.csv"
rm -f "$dir/pid"
timeout 60 "$MPIRUN" $flags -n 3 "$dir/12_mpi" "$dir/many.csv" \
    : $flags -n 1 sh -c 'echo $$ >"$0/pid"; exec "$0/12_mpi" "$0/many.csv"' "$dir" >"$dir/dead.out" 2>&1 &
while sleep 0.1; do
    rows=$(grep -c '^rank . of 4 has 3000 rows' "$dir/dead.out")
    [ "$rows" = 4 ] || ! kill -0 $! 2>/dev/null && break
done
[ "$rows" = 4 ] && kill -KILL "$(cat "$dir/pid")"
wait $!
status=$?
if [ "$rows" = 4 ] && [ $status != 0 ] && [ $status != 124 ] && ! grep -q objective "$dir/dead.out"
then pass; else fail "one of 4 ranks is killed: $rows had rows, exit status $status"; fi

echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
