#!/bin/sh
# Shows the mutants that no unit test of `paxos` killed to what is slower: the scripts, the
# garbage test and SEEDS (300) simulated clusters. `cargo mutants -p paxos` comes first.
#
#   tests/bugs/survivors.sh [mutants.out]
#
# Works on a copy below target/. Prints a line for each mutant with what killed it: `nothing`,
# `timeout` (something ran out of time and nothing else killed it) and `unbuilt` (it does not
# compile there) are no kills, and the exit status is 1 if there is one. Node reads the outcomes, which are JSON.
set -eu

OUT=$(cd "${1:-mutants.out}" && pwd)
cd "$(dirname "$0")/../.."
. tests/tools.sh
COPY=$PWD/target/survivors/copy
export CARGO_TARGET_DIR="$PWD/target/survivors/target"
export CARGO_PROFILE_SIM_INCREMENTAL=true CARGO_PROFILE_SIM_CODEGEN_UNITS=16
SURVIVED=0

copy_tracked "$COPY" . ':!web' ':!docs'

# What kills the mutant that is in the copy, in one word. Everything is built before anything is
# judged: a copy that does not build has been shown to nobody. A time-out is no verdict either, as
# a busy machine has them too; it is told as what it is, and a later judge may still kill.
killer() {
    cd "$COPY"
    { cargo test --quiet --locked --profile mutants -p scripts --test every --no-run &&
        cargo build --quiet --locked --profile sim -p simulator --bin sim &&
        cargo test --quiet --locked -p paxos --test garbage --no-run; } >"$COPY/../log" 2>&1 ||
        { echo unbuilt; return; }
    slow=
    judge scripts 600 cargo test --quiet --locked --profile mutants -p scripts --test every &&
        return
    judge simulator 900 cargo run --quiet --locked --profile sim -p simulator --bin sim -- \
        --seeds "${SEEDS:-300}" --start 0 --stop-at-first && return
    judge garbage 600 cargo test --quiet --locked -p paxos --test garbage && return
    echo "${slow:-nothing}"
}

# judge NAME SECONDS COMMAND…: prints the name and succeeds if the command fails by itself.
judge() {
    judge_name=$1
    judge_limit=$2
    shift 2
    judged=0
    timeout "$judge_limit" "$@" >"$COPY/../log" 2>&1 || judged=$?
    case $judged in
        0) return 1 ;;
        124) slow=timeout; return 1 ;;
        *) echo "$judge_name" ;;
    esac
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
    case $by in nothing | timeout | unbuilt) SURVIVED=1 ;; esac
    printf '%-10s %s\n' "$by" "$name"
    git -C "$COPY" checkout --quiet -- .
done <"$COPY/../missed"
exit "$SURVIVED"
