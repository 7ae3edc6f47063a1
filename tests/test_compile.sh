#!/bin/sh
# Builds tests/test_compile.c and .cpp in every configuration, with every warning an error.
# The CVXRELU_NO_ options are built together; with COMPILE_ALL set each of them alone as well.
# Environment: CC, CXX, BUILD, COMPILE_ALL. Prints failures and skips, then `N passed, N failed, N skipped`.
cd "$(dirname "$0")/.." || exit 1
CC=${CC:-cc} CXX=${CXX:-c++} BUILD=${BUILD:-build}
dir=$BUILD/compile
mkdir -p "$dir" || exit 1
passed=0 failed=0 skipped=0
strict="-pedantic -Wall -Wextra -Wshadow -Wconversion -Werror"
c="-std=c99 $strict -Wsign-conversion -Wstrict-prototypes -Wvla"
cpp="-std=c++11 $strict -fno-exceptions -fno-rtti"

pass() { passed=$((passed + 1)); }
fail() { failed=$((failed + 1)); echo "FAIL compile: $1"; head -n 12 "$dir/log"; }
skip() { skipped=$((skipped + 1)); echo "SKIP compile: $1"; }

# try TITLE COMMAND...: passes when the command succeeds
try() {
    title=$1
    shift
    if "$@" >"$dir/log" 2>&1; then pass; else fail "$title (exit status $?)"; fi
}

echo 'int main(void) { return 0; }' >"$dir/empty.c"
if ! $CC $c "$dir/empty.c" -o "$dir/empty" 2>/dev/null; then
    c=-std=c99
    skip "strict C warnings, which $CC does not know"
fi
have_cxx=1
$CXX $cpp -x c++ "$dir/empty.c" -o "$dir/empty" 2>/dev/null || have_cxx=0

# object LANGUAGE NAME FLAGS...
object() {
    language=$1 name=$2
    shift 2
    if [ "$language" = c ]; then
        try "$name" $CC $c -O0 "$@" -c tests/test_compile.c -o "$dir/$name.o"
    else
        try "$name" $CXX $cpp -O0 "$@" -c tests/test_compile.cpp -o "$dir/$name.o"
    fi
}

# link LINKER NAME OBJECTS...: links and runs
link() {
    linker=$1 name=$2
    shift 2
    try "link $name" $linker "$@" -o "$dir/$name" -lm
    try "run $name" "$dir/$name"
}

object c c1 -DPART=1
object c c2 -DPART=2
link "$CC" two_files "$dir/c1.o" "$dir/c2.o"
object c c_first -DPART=1 -DFIRST -DALONE -fsyntax-only
object c s1 -DPART=1 -DCVXRELU_STATIC
object c s2 -DPART=2 -DCVXRELU_STATIC
link "$CC" two_static "$dir/s1.o" "$dir/s2.o"
none=
for option in STDIO MALLOC CLOCK FLOAT32 SIMD; do
    none="$none -DCVXRELU_NO_$option"
    [ -n "$COMPILE_ALL" ] || continue
    object c no_$option -DPART=1 -DALONE -DCVXRELU_NO_$option
    link "$CC" without_$option "$dir/no_$option.o"
done
object c no_options -DPART=1 -DALONE $none
link "$CC" without_options "$dir/no_options.o"

if [ $have_cxx = 1 ]; then
    object c++ x1 -DPART=1
    object c++ x2 -DPART=2
    link "$CXX" two_files_cxx "$dir/x1.o" "$dir/x2.o"
    link "$CXX" c_uses_cxx "$dir/x1.o" "$dir/c2.o"
    link "$CXX" cxx_uses_c "$dir/c1.o" "$dir/x2.o"
else
    skip "C++ (no compiler $CXX)"
fi

# Names: only cvxrelu_ is external, and nothing is a variable that could change.
if nm "$dir/c1.o" >"$dir/names" 2>/dev/null; then
    awk '$2 == "T" && $3 !~ /^_?(cvxrelu_|main$)/ { print "external name " $3; bad = 1 }
         $2 ~ /^[BDCb]$/ && $3 !~ /^_?buffer/ { print "variable " $3; bad = 1 }
         END { exit bad }' "$dir/names" >"$dir/log" && pass || fail "names of the object file"
else
    skip "names of the object file (no nm)"
fi
if objdump -t "$dir/c1.o" >"$dir/names" 2>/dev/null; then
    awk '$0 ~ / O \.(data|bss|tdata|tbss)[ \t]/ && $NF != "buffer" { print "variable " $NF; bad = 1 }
         END { exit bad }' "$dir/names" >"$dir/log" && pass || fail "variables that can change"
else
    skip "variables that can change (no objdump)"
fi

# Macros: those that the header adds to the standard headers' own start with CVXR.
headers='stddef.h stdint.h limits.h float.h math.h stdarg.h string.h stdlib.h stdio.h time.h immintrin.h'
for h in $headers; do
    echo "#include <$h>" >"$dir/probe.c"
    $CC -E "$dir/probe.c" >/dev/null 2>&1 && echo "#include <$h>"
done >"$dir/before.c"
(cat "$dir/before.c"; echo '#define CVXRELU_IMPLEMENTATION'; echo '#include "../../cvxrelu.h"') \
    >"$dir/after.c"
if $CC -dM -E "$dir/before.c" >"$dir/before" 2>/dev/null && [ -s "$dir/before" ]; then
    $CC -I. -dM -E "$dir/after.c" | sort >"$dir/after"
    sort "$dir/before" | comm -13 - "$dir/after" | awk '$2 !~ /^CVXR/ { print; bad = 1 }
        END { exit bad }' >"$dir/log" && pass || fail "macros that escape"
else
    skip "macros that escape ($CC has no -dM)"
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
