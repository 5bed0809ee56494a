#!/bin/sh
# Takes each rule of the protocol away in turn, and checks that a world finds out:
# `tests/model/removed.sh [PART-OF-A-NAME…]`. Works on a copy below target/, never on the
# checkout. Exit code 0 when every patch is found as its header expects.
#
# A patch begins with lines `# name:`, `# rule:`, one or more `# expect: WORLD finds RULE` (or
# `WORLD finds nothing`, then with a `# why:`), and goes on as `git diff` writes it. For each
# expectation only that rule is watched, so that a deeper one is found although a shallower one
# is broken, too.
set -eu

cd "$(dirname "$0")/../.."
. tests/tools.sh
COPY=target/removed/copy
FAILED=0

build() {
    (cd "$COPY" && CARGO_TARGET_DIR=../target CARGO_TERM_COLOR=never \
        cargo build --quiet --locked -p model 2>../build.log)
}

header() { sed -n "s/^# $1: //p" "$2"; }

# expectation PATCH WORLD RULE
expectation() {
    only=--only
    [ "$3" != nothing ] || only=
    began=$(date +%s)
    # $only is one word or none.
    # shellcheck disable=SC2086
    if line=$(target/removed/target/debug/model check "$2" ${only:+--only "$3"} \
        --expect "$3" --steps "${STEPS:-40000000}" 2>&1); then
        verdict=ok
    else
        verdict=NOT
        FAILED=1
    fi
    states=$(printf '%s' "$line" | sed -n 's/.* \([0-9]*\) states.*/\1/p' | head -n 1)
    depth=$(printf '%s' "$line" | sed -n 's/.*depth *\([0-9]*\),.*/\1/p' | head -n 1)
    printf '| %s | %s | %s | %s | %s | %s | %s s |\n' "$(basename "$1" .patch)" "$verdict" \
        "$2" "$3" "$states" "$depth" "$(($(date +%s) - began))"
    [ "$verdict" = ok ] || say "$line"
}

matches() {
    [ $# -gt 1 ] || return 0
    name=$1
    shift
    for part in "$@"; do
        case $name in *"$part"*) return 0 ;; esac
    done
    return 1
}

copy_tracked "$COPY" '*.rs' '*.toml' '*.sql' '*.proto' '*.html' Cargo.lock
say "| rule taken away | as expected | world | finds | states | depth | time |"
say "|---|---|---|---|---|---|---|"
for patch in tests/model/removed/*.patch; do
    matches "$(basename "$patch")" "$@" || continue
    if ! git -C "$COPY" apply "$PWD/$patch"; then
        say "$patch does not apply: the sources have moved on"
        FAILED=1
        continue
    fi
    if build; then
        header expect "$patch" | {
            while read -r world _ rule; do
                expectation "$patch" "$world" "$rule"
            done
            exit "$FAILED"
        } || FAILED=1
    else
        say "$patch does not compile:"
        tail -n 30 target/removed/build.log
        FAILED=1
    fi
    git -C "$COPY" checkout --quiet -- .
done
exit "$FAILED"
