#!/bin/sh
# Holds the header against its own rules: the contents list equals the section banners, no function
# is over 60 lines, no line over 96 columns, no tabs or trailing blanks, no test that is not run. Then
# compile time and the size of a program that only predicts. Environment: CC, BUILD, COMPILE_SECONDS (20), PREDICT_BYTES (65536).
cd "$(dirname "$0")/.." || exit 1
CC=${CC:-cc} BUILD=${BUILD:-build}
mkdir -p "$BUILD" || exit 1
passed=0 failed=0 skipped=0
pass() { passed=$((passed + 1)); }
fail() { failed=$((failed + 1)); echo "FAIL contents: $1"; }
skip() { skipped=$((skipped + 1)); echo "SKIP contents: $1"; }

# `S05 DENSE ALGEBRA` pairs of the list in the manual, and of the banners below it.
awk '/^ *CONTENTS/ { on = 1; next } on && NF == 0 { exit } on { gsub(/   +/, "\n"); print }' \
    cvxrelu.h | grep '^S[0-9][0-9] ' | sed 's/ *$//' | sort >"$BUILD/contents.list"
sed -n 's|^/\* ==== \(S[0-9][0-9] [A-Z, -]*[A-Z]\) =.*|\1|p' cvxrelu.h >"$BUILD/contents.banners"
if [ ! -s "$BUILD/contents.list" ]; then
    fail "the manual has no CONTENTS list"
elif diff "$BUILD/contents.list" "$BUILD/contents.banners"; then
    pass
else
    fail "the contents list (<) and the banners (>) differ"
fi
if sort -c "$BUILD/contents.banners"; then pass; else fail "sections are out of order"; fi

# Every configuration macro that the code asks for stands in the manual.
for macro in $(grep -E '^#(if|ifdef|ifndef|elif)' cvxrelu.h | grep -o 'CVXRELU_[A-Z0-9_]*' |
    grep -vE '^CVXRELU_(H|IMPLEMENTED)$' | sort -u); do
    if sed '/^#ifndef CVXRELU_H/,$d' cvxrelu.h | grep -q "$macro"; then pass
    else fail "the manual does not name $macro"; fi
done

for file in cvxrelu.h cvxrelu_cuda.cuh examples/*.[ch] tests/*.[ch] tests/bench/*.[ch] \
    tests/cuda/*.cu tests/cuda/*.h tests/cuda/emulation/*.h; do
    [ -f "$file" ] || continue
    # A function starts at a line without indentation that ends in `{` and holds `(`, possibly
    # after lines of its signature, and ends at `}` in the first column.
    awk -v file="$file" '
        /^[A-Za-z].*\(/ && !/;$/ { start = FNR; name = $0 }
        /^[A-Za-z ].*\{$/ && start && !inside { inside = 1; first = start }
        /^}/ { if (inside && FNR - first + 1 > 60) {
                   print file ":" first ": " FNR - first + 1 " lines: " name; bad = 1 }
               inside = start = 0 }
        /;$/ && !inside { start = 0 }
        /\t/ { print file ":" FNR ": tab"; bad = 1 }
        / $/ { print file ":" FNR ": trailing blank"; bad = 1 }
        length($0) > 96 { print file ":" FNR ": over 96 columns"; bad = 1 }
        END { exit bad }' "$file" && pass || fail "$file"
done

# Every test is run.
for file in tests/*.c tests/cuda/*.cu; do
    for name in $(sed -n 's/^TEST(\([a-zA-Z0-9_]*\)).*/\1/p' "$file"); do
        grep -q "RUN($name)" "$file" || fail "$file: $name is not run"
    done
done

printf '#define CVXRELU_IMPLEMENTATION\n#include "../cvxrelu.h"\n' >"$BUILD/compile_time.c"
$CC -O2 -c "$BUILD/compile_time.c" -o "$BUILD/compile_time.o" || fail "it does not compile"
times >"$BUILD/times"              # of this shell's children, which are little else
seconds=$(awk 'END { split($1, t, /[ms]/); print 60 * t[1] + t[2] }' "$BUILD/times")
echo "compile time of the implementation at -O2: ${seconds:-?} s of processor time"
if awk "BEGIN { exit !(${seconds:-999} < ${COMPILE_SECONDS:-20}) }"; then pass
else fail "compile time is over ${COMPILE_SECONDS:-20} s"; fi

$CC -Os -ffunction-sections -fdata-sections -Wl,--gc-sections tests/predict_only.c \
    -o "$BUILD/predict_only" -lm 2>/dev/null || $CC -Os tests/predict_only.c \
    -o "$BUILD/predict_only" -lm
bytes=$(size "$BUILD/predict_only" 2>/dev/null | awk 'NR == 2 { print $1 + $2 }')
if [ -z "$bytes" ]; then
    skip "size of a program that only predicts (no size command)"
elif [ "$bytes" -lt "${PREDICT_BYTES:-65536}" ]; then
    echo "a program that only predicts: $bytes bytes"
    pass
else
    fail "a program that only predicts has $bytes bytes, more than ${PREDICT_BYTES:-65536}"
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
