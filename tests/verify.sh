#!/bin/sh
# `make verify`: every check that only reads. It runs them all and then says which failed, so
# that one look is enough to know what to repair.
set -eu

cd "$(dirname "$0")/.."
. tests/tools.sh

docker/cluster.sh need cargo node npm cc || exit 1

FAILED=
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
check() {
    step "$@" || FAILED="$FAILED
  $1"
}

documentation() {
    # shellcheck disable=SC2086
    RUSTDOCFLAGS="-D warnings" cargo doc $FEATURES --no-deps
}

dependencies() {
    if ! have cargo-deny; then
        say "skipped: cargo-deny is not installed (cargo install --locked cargo-deny)"
        return 0
    fi
    cargo deny --log-level error check bans licenses sources || return 1
    # The advisories are a repository that has to be fetched: without a network this check
    # says nothing, which is not the same as a finding.
    if cargo deny --log-level error fetch db >/dev/null 2>&1; then
        cargo deny --log-level error check advisories
    else
        say "skipped: the advisory database cannot be fetched from here"
    fi
}

# What is handed on in the page; tools that build it run on nobody's machine but ours.
page_advisories() {
    npm audit --prefix "$1" --omit=dev --audit-level=high >"$work/audit" 2>&1 && return 0
    if grep -q 'ENOAUDIT\|EAI_AGAIN\|ENOTFOUND\|ECONNREFUSED\|audit endpoint returned an error' "$work/audit"; then
        say "skipped: this registry answers no audit"
        return 0
    fi
    cat "$work/audit"
    return 1
}

# Keys and tokens that somebody committed by mistake; docs/security.md says what to do with one.
secrets() {
    if have gitleaks; then
        gitleaks git --no-banner --redact .
    elif have ripsecrets; then
        git ls-files -z | xargs -0 ripsecrets --strict-ignore
    else
        say "skipped: neither gitleaks nor ripsecrets is installed (cargo install --locked ripsecrets)"
    fi
}

kubernetes() {
    # shellcheck disable=SC2086
    cargo build $FEATURES && tests/k8s.sh check
}

unused_dependencies() {
    if have cargo-machete; then
        cargo machete
    else
        say "skipped: cargo-machete is not installed (cargo install --locked cargo-machete)"
    fi
}

# Instructions do not depend on who else uses the machine; time would.
instructions() {
    if ! have valgrind; then
        say "skipped: valgrind is not installed (Debian: apt-get install valgrind)"
        return 0
    fi
    cargo run --quiet --release --locked -p hotpaths -- count
}

# shellcheck disable=SC2086
{
    check "rust: format" cargo fmt --all --check
    check "rust: lints" cargo clippy $FEATURES --all-targets -- -D warnings
    check "rust: documentation" documentation
    check "rust: dependencies" dependencies
    check "rust: unused dependencies" unused_dependencies
    check "house rules" cargo test --locked -p tidy
    check "rust: instructions of the hot paths" instructions
}
check "kubernetes: manifests" kubernetes
check "alarms" tests/observe.sh
check "page: packages" npm_packages web
check "page: advisories" page_advisories web
check "secrets" secrets
check "page: types and rules" in_directory web npm run check

printf '\n%s' "$TIMES"
[ -z "$FAILED" ] || fail "these checks failed:$FAILED"
say "Everything verified."
