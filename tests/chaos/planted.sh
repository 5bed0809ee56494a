#!/bin/sh
# Plants faults in the product, one at a time, and checks that `make chaos` finds each:
# `tests/chaos/planted.sh [PART-OF-A-NAME…]`. Works on a copy below target/, never on the
# checkout. Exit code 0 when every fault is found as its header expects, and when the product
# without a fault passes a run with the same kinds of steps.
#
# A patch begins with lines `# fault:` (in words), `# run:` (the settings of the run),
# `# finds:` (kinds of violations; one of them must be there), and goes on as `git diff` writes it.
set -eu

cd "$(dirname "$0")/../.."
. tests/tools.sh
COPY=$PWD/target/planted/copy
export CARGO_TARGET_DIR="$PWD/target/planted/target"
FAILED=0

# What is run without a fault: all kinds of steps that the patches name.
HEALTHY=$PWD/target/planted/none
mkdir -p "$PWD/target/planted"
kinds=$(sed -n 's/^# run: .*FAULTS=\([^ ]*\).*/\1/p' tests/chaos/planted/*.patch | paste -sd, -)
printf '# fault: none\n# run: FAULTS=%s MINUTES=2\n' "$kinds" >"$HEALTHY"

header() { sed -n "s/^# $1: //p" "$2"; }

matches() {
    [ $# -gt 1 ] || return 0
    name=$1
    shift
    for part in "$@"; do
        case $name in *"$part"*) return 0 ;; esac
    done
    return 1
}

# build: the programs of the copy, without its tests.
build() {
    # $FEATURES is several words.
    # shellcheck disable=SC2086
    (cd "$COPY" && cargo build --quiet $FEATURES 2>"$COPY/../build.log") || {
        tail -n 30 "$COPY/../build.log"
        return 1
    }
}

# torment PATCH: runs what its header says. Sets `found` (kinds of violations), `faults` and
# `seconds`, which are from the first message to the verdict.
torment() {
    out=$COPY/../run
    rm -rf "$out"
    settings=$(header run "$1" | sed 's/\([A-Z]*\)=/--\1 /g' | tr '[:upper:]' '[:lower:]')
    began=$(date +%s)
    # $settings are several words.
    # shellcheck disable=SC2086
    "$CARGO_TARGET_DIR/debug/chaos" $settings --clients 20 --out "$out" \
        >"$COPY/../chaos.log" 2>&1 || true
    seconds=$(($(date +%s) - began))
    found=$(node -e '
        const { verdict } = JSON.parse(require("fs").readFileSync(process.argv[1]));
        console.log([...new Set(verdict.violations.map(({ kind }) => kind))].join(", "));
    ' "$out/run.json") || {
        tail -n 5 "$COPY/../chaos.log"
        found="no verdict"
    }
    faults=$(node -e '
        const { faults } = JSON.parse(require("fs").readFileSync(process.argv[1]));
        console.log(faults.filter(({ outcome }) => outcome === "installed").length);
    ' "$out/run.json") || faults=0
}

expected() {
    for kind in $(header finds "$1" | tr ',' ' '); do
        case ", $found, " in *", $kind, "*) return 0 ;; esac
    done
    return 1
}

# row PATCH VERDICT
row() {
    printf '| %s | %s | %s | %s | %s | %s s |\n' \
        "$(header fault "$1")" "$2" "$(header run "$1")" "$faults" "${found:-nothing}" "$seconds"
}

copy_tracked "$COPY" . ':!docs'
[ ! -d web/dist ] || cp -R web/dist "$COPY/web/"
say "| fault in the product | | run | faults of the nemesis | claims that did not hold | time |"
say "|---|---|---|---|---|---|"
# Without a fault the same kinds of steps must find nothing, or finding something proves nothing.
build
torment "$HEALTHY"
row "$HEALTHY" "$([ -z "$found" ] && echo passed || echo FAILED)"
[ -z "$found" ] || FAILED=1
for patch in tests/chaos/planted/*.patch; do
    matches "$(basename "$patch")" "$@" || continue
    if ! git -C "$COPY" apply "$PWD/$patch"; then
        say "$patch does not apply: the sources have moved on"
        FAILED=1
        continue
    fi
    if build; then
        torment "$patch"
        if expected "$patch"; then
            row "$patch" found
        else
            row "$patch" "NOT FOUND"
            FAILED=1
        fi
    else
        say "$patch does not compile"
        FAILED=1
    fi
    git -C "$COPY" checkout --quiet -- .
done
exit "$FAILED"
