#!/bin/sh
# `make test-versions`: programs of another version and of this one in one cluster, rolled under
# load (tests/scenarios/tests/real/versions.rs). Builds the programs of revision FROM below target/,
# which takes as long as a first build. Not a part of `make test` for that reason.
set -eu

cd "$(dirname "$0")/.."
. tests/tools.sh

FROM=${FROM:-HEAD~1}
revision=$(git rev-parse --verify --quiet "$FROM^{commit}") ||
    fail "FROM=$FROM is no revision of this repository; give a commit or a tag"
OLD=$PWD/target/versions
rm -rf "$OLD/source"
mkdir -p "$OLD/source"
git archive "$revision" | tar -x -C "$OLD/source"

step "programs of $FROM" in_directory "$OLD/source" \
    env CARGO_TARGET_DIR="$OLD/target" cargo build --locked -p replica -p gateway -p membership
# shellcheck disable=SC2086
step "programs of the work tree" cargo build $FEATURES --bins
# shellcheck disable=SC2086
step "both in one cluster" env CHATTERBOX_OLD_PROGRAMS="$OLD/target/debug" \
    cargo test $FEATURES --test real -- --ignored --exact versions::two_versions_are_one_cluster
printf '\n%s' "$TIMES"
