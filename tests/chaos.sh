#!/bin/sh
# `make chaos`: builds what it takes, and lets tests/chaos torment a cluster. Settings that are
# empty have the defaults of `chaos --help`.
#
# MODE=local MINUTES=2 SEED=1 FAULTS=kill,replace REPLICAS=5 GATEWAYS=2 STANDBYS=1 CLIENTS=40
# RATE=10 ROOMS=6 OUT=folder   PROFILE=dev|release
set -eu

cd "$(dirname "$0")/.."
. tests/tools.sh

docker/cluster.sh need cargo cc || exit 1

# The development build by default: debug assertions are on, and `make test` has built it.
PROFILE=${PROFILE:-dev}
case $PROFILE in
    dev) directory=debug ;;
    *) directory=$PROFILE ;;
esac
# As `make test` builds: another choice of packages has other features of their dependencies, and
# would compile forty of them anew. $FEATURES is several words.
# shellcheck disable=SC2086
cargo build $FEATURES --profile "$PROFILE" --all-targets

set -- target/"$directory"/chaos
for setting in "mode ${MODE:-}" "minutes ${MINUTES:-}" "seed ${SEED:-}" "faults ${FAULTS:-}" \
    "replicas ${REPLICAS:-}" "gateways ${GATEWAYS:-}" "standbys ${STANDBYS:-}" \
    "clients ${CLIENTS:-}" "rate ${RATE:-}" "rooms ${ROOMS:-}" "out ${OUT:-}" \
    "at-least-kinds ${AT_LEAST_KINDS:-}" "at-least-replaced ${AT_LEAST_REPLACED:-}"; do
    value=${setting#* }
    # MODE has a default for other commands.
    [ -n "$value" ] && [ "$value" != auto ] || continue
    set -- "$@" "--${setting%% *}" "$value"
done
exec "$@"
