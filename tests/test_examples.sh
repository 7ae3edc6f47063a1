#!/bin/sh
# Builds and runs the numbered examples, the first program of README.md and the quick start of the
# manual, just as they stand. After `as the last line' the opening comment of an example gives the
# last line that it prints; words must be equal and numbers within 5%.
# Environment: CC, CFLAGS, LDLIBS, BUILD.
cd "$(dirname "$0")/.." || exit 1
CC=${CC:-cc} CFLAGS=${CFLAGS:--O1} LDLIBS=${LDLIBS:--lm} BUILD=${BUILD:-build}
mkdir -p "$BUILD/examples" || exit 1
passed=0 failed=0 skipped=0
pass() { passed=$((passed + 1)); }
fail() { failed=$((failed + 1)); echo "FAIL examples: $1"; }
skip() { skipped=$((skipped + 1)); echo "SKIP examples: $1"; }

# run NAME FILE: builds FILE and runs it; the output is in $BUILD/examples/NAME.out
run() {
    program=$BUILD/examples/$1
    if ! $CC $CFLAGS -I. "$2" -o "$program" $LDLIBS >"$program.log" 2>&1; then
        head -n 20 "$program.log"
        fail "$2 does not build"
        return 1
    fi
    "$program" >"$program.out" 2>"$program.err"
    status=$?
    [ -n "$VERBOSE" ] && { echo "== $2"; cat "$program.out"; }
    if [ $status != 0 ]; then
        head -n 5 "$program.err"
        fail "$2 ends with exit status $status"
        return 1
    fi
}

same_line='{ n = split(want, w, " ")
    bad = n != NF
    for (i = 1; i <= n && !bad; i++) {
        x = $i + 0
        y = w[i] + 0
        e = x > y ? x - y : y - x
        if (w[i] != $i) bad = w[i] !~ /^[-+.0-9]/ || e > 0.05 * (y < 0 ? -y : y)
    }
    exit bad }'

for example in examples/0*.c; do
    name=$(basename "$example" .c)
    run "$name" "$example" || continue
    want=$(awk '/as the last line$/ { getline; sub(/ *\*\/.*/, ""); print; exit } /\*\// { exit }' \
        "$example")
    last=$(tail -n 1 "$BUILD/examples/$name.out")
    if [ -z "$want" ] || echo "$last" | awk -v want="$want" "$same_line"; then
        pass
    else
        fail "$name ends with \`$last', expected \`$want'"
    fi
done

# The first ```c block of the README.
awk '/^```c$/ { on = 1; next } /^```/ && on { exit } on' README.md >"$BUILD/examples/readme.c"
run readme "$BUILD/examples/readme.c" && pass

# The first program of the manual: from its #define to the closing brace of main.
awk '/^#ifndef CVXRELU_H/ { exit }
     !on && /^ *#define CVXRELU_IMPLEMENTATION/ { on = match($0, /#/) }
     on { print substr($0, on) }
     on && substr($0, on) ~ /^}/ { exit }' cvxrelu.h >"$BUILD/examples/manual.c"
if [ -s "$BUILD/examples/manual.c" ]; then run manual "$BUILD/examples/manual.c" && pass
else skip "the manual has no program"; fi

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
