#!/bin/sh
# Builds and runs the numbered examples, the first program of README.md and the quick start of the
# manual. After `as the last line' the opening comment of an example gives the last line that it
# prints; words must be equal and numbers within 5%. With VERBOSE all are built just as they stand
# and their output is shown; else most of them share one object of the library (-O1), to save time.
# Environment: CC, CFLAGS, LDLIBS, BUILD, VERBOSE.
cd "$(dirname "$0")/.." || exit 1
CC=${CC:-cc} CFLAGS=${CFLAGS:--O1} LDLIBS=${LDLIBS:--lm} BUILD=${BUILD:-build}
dir=$BUILD/examples
mkdir -p "$dir" || exit 1
passed=0 failed=0 skipped=0
pass() { passed=$((passed + 1)); }
fail() { failed=$((failed + 1)); echo "FAIL examples: $1"; }
skip() { skipped=$((skipped + 1)); echo "SKIP examples: $1"; }

# compile FILE PROGRAM: as it stands when it configures the library or there is nothing to share,
# else without the implementation and linked with $shared
compile() {
    if [ -z "$shared" ] || grep -q '^#define CVXRELU_[^I]' "$1"; then $CC $CFLAGS -I. "$1" -o "$2" $LDLIBS
        return
    fi
    sed 's/^#define CVXRELU_IMPLEMENTATION$//' "$1" >"$2.c" &&
        $CC $CFLAGS -O1 -I. -Iexamples -include math.h -include stdlib.h -include string.h "$2.c" \
            "$shared" -o "$2" $LDLIBS
}

# run NAME FILE ARGUMENTS...: builds FILE and runs it; the output is in $dir/NAME.out
run() {
    name=$1 file=$2 program=$dir/$1
    shift 2
    if ! compile "$file" "$program" >"$program.log" 2>&1; then
        head -n 20 "$program.log"
        fail "$file does not build"
        return 1
    fi
    "$program" "$@" >"$program.out" 2>"$program.err"
    status=$?
    [ -n "$VERBOSE" ] && { echo "== $file"; cat "$program.out"; }
    if [ $status != 0 ]; then
        head -n 5 "$program.err"
        fail "$file ends with exit status $status"
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

shared=
if [ -z "$VERBOSE" ]; then
    shared=$dir/library.o
    printf '#define CVXRELU_IMPLEMENTATION\n#include "cvxrelu.h"\n' >"$dir/library.c"
    $CC $CFLAGS -O1 -I. -c "$dir/library.c" -o "$shared" >"$dir/library.log" 2>&1 || {
        head -n 20 "$dir/library.log"
        fail "the library does not build"
        shared=
    }
fi
for example in examples/[0-9]*.c; do
    name=$(basename "$example" .c)
    case $name in
    *_mpi) continue ;; # tests/test_mpi.sh
    07_*) run "$name" "$example" "$dir/$name.svg" || continue
        tail -n 1 "$dir/$name.svg" | grep -q '</svg>$' || fail "$name wrote no complete SVG" ;;
    08_*) run "$name" "$example" --quick || continue ;;
    *) run "$name" "$example" || continue ;;
    esac
    want=$(awk '/as the last line$/ { getline; sub(/ *\*\/.*/, ""); print; exit } /\*\// { exit }' \
        "$example")
    last=$(tail -n 1 "$dir/$name.out")
    if [ -z "$want" ]; then fail "$name does not say what its last line is"
    elif ! echo "$last" | awk -v want="$want" "$same_line"; then
        fail "$name ends with \`$last', expected \`$want'"
    elif echo "$last" | grep -q '^SKIPPED: '; then skip "$name: ${last#SKIPPED: }"
    else pass
    fi
done

shared=
# The first ```c block of the README.
awk '/^```c$/ { on = 1; next } /^```/ && on { exit } on' README.md >"$dir/readme.c"
run readme "$dir/readme.c" && pass

# The first program of the manual: from its #define to the closing brace of main.
awk '/^#ifndef CVXRELU_H/ { exit }
     !on && /^ *#define CVXRELU_IMPLEMENTATION/ { on = match($0, /#/) }
     on { print substr($0, on) }
     on && substr($0, on) ~ /^}/ { exit }' cvxrelu.h >"$dir/manual.c"
if [ -s "$dir/manual.c" ]; then run manual "$dir/manual.c" && pass
else skip "the manual has no program"; fi

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
