#!/bin/sh
# `make test`: everything that decides about a change, cheapest first, stopping at the first
# failure. Needs Rust and Node; the rest it installs as root on Debian, or names.
set -eu

cd "$(dirname "$0")/.."
. tests/tools.sh

docker/cluster.sh need cargo node npm || exit 1
need_package cc gcc libc6-dev
# The browser tests come last: better to know now than in twenty minutes.
find_chromium >/dev/null || need_package chromium chromium fonts-liberation
for component in fmt clippy; do
    cargo "$component" --version >/dev/null ||
        fail "cargo $component is missing: rustup component add rustfmt clippy"
done

step "page: packages" npm_packages web
step "page: types and rules" in_directory web npm run check
step "page: unit tests" in_directory web npm test
step "page: build" in_directory web npm run build
step "page: size" in_directory web npm run budget

# $FEATURES is several words.
# shellcheck disable=SC2086
{
    step "rust: format" cargo fmt --all --check
    step "rust: lints" cargo clippy $FEATURES --all-targets -- -D warnings
    # The programs too: the scenarios and the browser tests start them from target/debug.
    step "rust: build" cargo build $FEATURES --all-targets
    step "rust: tests, with real processes" cargo test $FEATURES
}

step "kubernetes: manifests, and pods without a cluster" tests/k8s.sh

# Ten kinds of fault in 100 s, a node that dies for good among them; it fails when less than six
# kinds or no replacement happened.
step "chaos: faults under load, judged" env MODE=local MINUTES=1.6 SEED=3 CLIENTS=20 \
    AT_LEAST_KINDS=6 AT_LEAST_REPLACED=1 \
    FAULTS=kill-leader,pause,partition-one,partition-halves,loss,restart,replace,power-one,power-all,gateway \
    tests/chaos.sh

step "browser: packages" npm_packages tests/browser
CHROMIUM=$(find_chromium)
export CHROMIUM
step "browser: tests" in_directory tests/browser npm test

# Last: it builds the programs once more, as they are released.
step "containers: the image, and a cluster of it" env WHERE_POSSIBLE=1 tests/containers.sh

printf '\n%s\nAll tests passed.\n' "$TIMES"
