#!/bin/sh
# `make bench`: builds what people run, gets the peers, and measures them beside each other.
#
# QUICK=1              a few minutes instead of an hour or two
# SERIES=commit,web    only these (`load run --help` names them)   SYSTEMS=etcd,nats only these
# ROUNDS=5             how often each system has its turn          OUT=folder
# KEEP=1               keeps what OUT holds of other series
# PUBLISH=1            writes the tables and charts into docs/benchmarks.md
set -eu

cd "$(dirname "$0")/.."
. tests/tools.sh

docker/cluster.sh need cargo cc || exit 1

OUT=${OUT:-target/bench}

# The peers, from Debian. Where they cannot be installed the run goes on without them and says so.
peers() {
    missing=
    for pair in etcd:etcd-server nats-server:nats-server mosquitto:mosquitto \
        rabbitmqctl:rabbitmq-server; do
        have "${pair%%:*}" || [ -x "/usr/sbin/${pair%%:*}" ] || missing="$missing ${pair#*:}"
    done
    [ -n "$missing" ] || return 0
    if ! have apt-get || [ "$(id -u)" != 0 ]; then
        say "not installed, so not compared. On Debian: apt-get install$missing"
        return 0
    fi
    say "installing$missing"
    # The servers of the packages must not start: the run starts its own, with its own data.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        trap 'rm -f "$policy"' EXIT
    fi
    log=$(mktemp)
    # shellcheck disable=SC2086
    { apt-get update && DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1 || {
        tail -n 20 "$log"
        say "apt-get could not install$missing: they are not compared"
    }
    rm -f "$log"
}
peers

# Ten thousand connections are ten thousand open files, here and in the server.
ulimit -n "$(ulimit -H -n)" || say "open files stay limited to $(ulimit -n)"

cargo build --release --locked -p replica -p gateway -p membership
cargo build --release --locked -p load

set -- run --out "$OUT"
[ -z "${QUICK:-}" ] || set -- "$@" --quick
[ -z "${SERIES:-}" ] || set -- "$@" --series "$SERIES"
[ -z "${SYSTEMS:-}" ] || set -- "$@" --systems "$SYSTEMS"
[ -z "${KEEP:-}" ] || set -- "$@" --keep
[ -z "${ROUNDS:-}" ] || set -- "$@" --rounds "$ROUNDS"
target/release/load "$@"
[ -z "${PUBLISH:-}" ] || target/release/load report --from "$OUT"
