#!/bin/sh
# Runs test commands, each an argument `name: command`, two at a time, and adds up their last lines
# `N passed, N failed, N skipped`. A command without such a last line counts as one failure.
# Environment: BUILD. Exit status 1 when something failed.
dir=${BUILD:-build}/run.$$
mkdir -p "$dir" || exit 1
trap 'rm -rf "$dir"' EXIT

# Takes the next command that nobody has taken, until there is none.
worker() {
    number=0
    for command in "$@"; do
        number=$((number + 1))
        mkdir "$dir/$number" 2>/dev/null || continue
        sh -c "${command#*: }" >"$dir/$number/out" 2>&1
        echo $? >"$dir/$number/status"
    done
}
worker "$@" &
worker "$@"
wait

passed=0 failed=0 skipped=0 number=0
for command in "$@"; do
    number=$((number + 1)) name=${command%%: *}
    status=$(cat "$dir/$number/status")
    line=$(tail -n 1 "$dir/$number/out" | sed -n \
        's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped.*/\1 \2 \3/p')
    if [ -n "$line" ]; then
        sed "\$d; s/^FAIL /FAIL [$name] /; s/^SKIP /SKIP [$name] /" "$dir/$number/out"
    else
        tail -n 30 "$dir/$number/out"
        line="0 0 0" status="$status, no result"
    fi
    set -- $line
    if [ "$2" = 0 ] && [ "$status" != 0 ]; then
        echo "FAIL [$name] exit status $status: ${command#*: }"
        set -- "$1" 1 "$3"
    fi
    passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
