#!/bin/sh
# Shows the mutants that no unit test of `paxos` killed to what is slower: the scripts, the
# garbage test and SEEDS (300) simulated clusters. `cargo mutants -p paxos` comes first.
#
#   tests/bugs/survivors.sh [mutants.out]
#
# Works on a copy below target/. Prints a line for each mutant with what killed it, and exits
# with 1 when something survived. Node reads the outcomes, which are JSON.
set -eu

OUT=$(cd "${1:-mutants.out}" && pwd)
cd "$(dirname "$0")/../.."
. tests/tools.sh
COPY=$PWD/target/survivors/copy
export CARGO_TARGET_DIR="$PWD/target/survivors/target"
export CARGO_PROFILE_SIM_INCREMENTAL=true CARGO_PROFILE_SIM_CODEGEN_UNITS=16
SURVIVED=0

copy_tracked "$COPY" . ':!web' ':!docs'

# What kills the mutant that is in the copy, in one word.
killer() {
    cd "$COPY"
    timeout 600 cargo test --quiet --locked --profile mutants -p scripts --test every \
        >"$COPY/../log" 2>&1 || { echo scripts; return; }
    timeout 900 cargo run --quiet --locked --profile sim -p simulator --bin sim -- \
        --seeds "${SEEDS:-300}" --start 0 --stop-at-first >"$COPY/../log" 2>&1 ||
        { echo simulator; return; }
    timeout 600 cargo test --quiet --locked -p paxos --test garbage >"$COPY/../log" 2>&1 ||
        { echo garbage; return; }
    echo nothing
}

node -e '
    const outcomes = JSON.parse(require("fs").readFileSync(process.argv[1])).outcomes;
    for (const { summary, scenario, diff_path } of outcomes)
        if (summary === "MissedMutant")
            console.log([diff_path, scenario.Mutant.file, scenario.Mutant.name].join("\t"));
' "$OUT/outcomes.json" >"$COPY/../missed"
while IFS="$(printf '\t')" read -r diff file name; do
    # The new name in the patch is a description.
    sed "2s|^+++ .*|+++ $file|" "$OUT/$diff" | git -C "$COPY" apply -p0
    by=$(killer </dev/null)
    [ "$by" != nothing ] || SURVIVED=1
    printf '%-10s %s\n' "$by" "$name"
    git -C "$COPY" checkout --quiet -- .
done <"$COPY/../missed"
exit "$SURVIVED"
