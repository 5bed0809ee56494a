#!/bin/sh
# The manifests of k8s/ without a cluster: rendered, held against the schemas of three versions of
# Kubernetes and against the programs; then the pods of the overlay `dev`, run with their users, mounts,
# environments and probes in network namespaces, and a chat on them. `tests/k8s.sh check` reads only.
set -eu

cd "$(dirname "$0")/.."
. tests/tools.sh

if ! have kubectl; then
    say "skipped: kubectl is not installed (https://kubernetes.io/docs/tasks/tools/)"
    exit 0
fi

programs=target/debug
[ -x "$programs/replica" ] || fail "$programs/replica is missing: cargo build $FEATURES"
venv=target/k8s-venv
if ! "$venv/bin/python" -c 'import kubernetes_validate, websocket, yaml' 2>/dev/null; then
    need_package python3 python3 python3-venv
    python3 -c 'import ensurepip' 2>/dev/null || install_for "Python's venv" python3-venv
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r tests/k8s/requirements.txt
fi
python() { PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" "$@"; }

python tests/k8s/check.py "$programs"
[ "${1:-}" != check ] || exit 0

if [ "$(id -u)" != 0 ]; then
    say "skipped: pods have network namespaces, which only root can make"
    exit 0
fi
need_package ip iproute2
need_package bwrap bubblewrap
need_package setpriv util-linux
need_package unshare util-linux
# Only the programs, for a sandbox that may read nothing else.
bin=target/k8s-bin
rm -rf "$bin"
mkdir -p "$bin"
for program in replica gateway membership chatterctl; do
    cp "$programs/$program" "$bin/"
done
# In the temporary directory: the user of a pod must be able to reach it.
data=$(mktemp -d)
chmod 755 "$data"
trap 'rm -rf "$data"' EXIT
# In a network of its own: a firewall of this machine, such as Docker's, must not reach into it.
unshare --net sh -c 'ip link set lo up && exec "$@"' pods \
    env PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" tests/k8s/pods.py "$bin" "$data/pods"
