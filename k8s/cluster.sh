#!/bin/sh
# Thin wrappers for `make k8s-…`: what a person would type with kubectl, in the right order.
#
#   OVERLAY=dev|prod k8s/cluster.sh up|down|status|roll
#   REPLICAS=5       k8s/cluster.sh scale
#   AUTHORITY=DIR    k8s/cluster.sh certificates
set -eu

cd "$(dirname "$0")/.."
OVERLAY=${OVERLAY:-dev}
# Where: the namespace of the overlays, or one that their objects were put into.
SPACE=${SPACE:-chatterbox}

say() { printf '%s\n' "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }
kube() { kubectl --namespace "$SPACE" "$@"; }
# In the pod of membership: it knows all the others.
ctl() { kube exec membership-0 -- /usr/local/bin/chatterctl "$@"; }

command -v kubectl >/dev/null 2>&1 || fail "kubectl is missing: https://kubernetes.io/docs/tasks/tools/"
[ -d "k8s/overlays/$OVERLAY" ] || fail "OVERLAY=$OVERLAY: there are $(ls k8s/overlays | tr '\n' ' ')"

# Certificates of all roles by an authority of our own in the directory AUTHORITY, which must be kept:
# called again it renews what is about to end, and the services take that up without a restart.
certificates() {
    directory=${AUTHORITY:?where the authority is kept: AUTHORITY=DIR}
    chatterctl=${CHATTERCTL:-target/release/chatterctl}
    [ -x "$chatterctl" ] || fail "$chatterctl is missing: make programs"
    "$chatterctl" ca ensure --dir "$directory" --cluster chatterbox
    kubectl get namespace "$SPACE" >/dev/null 2>&1 || kubectl apply -f k8s/base/namespace.yaml
    for role in replica gateway membership operator; do
        kube create secret generic "$role-tls" --dry-run=client --output=yaml \
            --from-file="$directory/$role/ca.crt" --from-file="$directory/$role/tls.crt" \
            --from-file="$directory/$role/tls.key" | kube apply -f -
    done
}

# Pods wait for a Secret that is not there for ever, and say so where few look.
certificates_are_there() {
    kubectl kustomize "k8s/overlays/$OVERLAY" | grep -q 'secretName: replica-tls' || return 0
    ! kubectl kustomize "k8s/overlays/$OVERLAY" | grep -q '^apiVersion: cert-manager.io/' || return 0
    for role in replica gateway membership operator; do
        kube get secret "$role-tls" >/dev/null 2>&1 || fail "the Secret $role-tls is missing: \
AUTHORITY=DIR k8s/cluster.sh certificates, or OVERLAY=prod-cert-manager"
    done
}

up() {
    certificates_are_there
    kubectl apply -k "k8s/overlays/$OVERLAY"
    kube rollout status statefulset/membership --timeout=300s
    kube rollout status statefulset/replica --timeout=600s
    kube rollout status deployment/gateway --timeout=300s
    say "The page: kubectl -n $SPACE port-forward service/gateway 1050:80, then http://localhost:1050"
}

# The claims stay, and with them everything that was said.
down() {
    kubectl delete -k "k8s/overlays/$OVERLAY" --ignore-not-found --dry-run=client --output=name |
        grep -v '^namespace/' | while read -r object; do
            kube delete "$object" --ignore-not-found
        done
    say "The disks are still there: kubectl -n $SPACE get persistentvolumeclaims"
}

status() {
    kube get pods --output=wide
    ctl status || true
    ctl node list
}

# The address of a node is its pod: `r1030 … replica-4.replica:1061`.
node_of() {
    nodes=$(ctl node list --json) || fail "membership-0 cannot list the nodes; see: make k8s-status"
    printf '%s\n' "$nodes" | tr '{' '\n' | sed -n "s/.*\"address\":\"$1\.replica:1061\".*\"node\":\([0-9]*\).*/\1/p" |
        tail -n 1
}

# Whether a place from ordinal $1 to below $2 votes. Who cannot be asked may vote.
still_vote() {
    nodes=$(ctl node list --json) || return 0
    ordinal=$1
    while [ "$ordinal" -lt "$2" ]; do
        ! printf '%s\n' "$nodes" | tr '{' '\n' | grep "\"address\":\"replica-$ordinal\.replica:1061\"" |
            grep -q '"voter":true' || return 0
        ordinal=$((ordinal + 1))
    done
    return 1
}

# The node at a place that is drained; nothing when none is.
drained_at() {
    nodes=$(ctl node list --json) || fail "membership-0 cannot list the nodes; see: make k8s-status"
    printf '%s\n' "$nodes" | tr '{' '\n' | grep "\"address\":\"$1\.replica:1061\"" |
        grep '"draining":true' | sed -n 's/.*"node":\([0-9]*\).*/\1/p' | tail -n 1
}

# Whatever is there is ready: nothing is changed on top of something that is not whole.
whole() {
    kube wait --for=condition=Ready pod --selector=app.kubernetes.io/name=chatterbox --timeout=120s
}

scale() {
    wished=${REPLICAS:?how many: make k8s-scale REPLICAS=5}
    case $wished in
        3 | 5 | 7) ;;
        *) fail "REPLICAS=$wished: 3, 5 or 7" ;;
    esac
    whole
    present=$(kube get statefulset replica --output=jsonpath='{.spec.replicas}')
    # Downwards: those that will go vote no more before they go.
    ordinal=$wished
    while [ "$ordinal" -lt "$present" ]; do
        node=$(node_of "replica-$ordinal") || exit 1
        [ -z "$node" ] || ctl node drain "r$node"
        ordinal=$((ordinal + 1))
    done
    if [ "$wished" -lt "$present" ]; then
        say "waiting until those that will go vote no more"
        # A minute lies between two changes.
        tries=0
        while still_vote "$wished" "$present"; do
            tries=$((tries + 1))
            [ "$tries" -lt 120 ] || fail "some that will go still vote; see: make k8s-status"
            sleep 5
        done
    fi
    kube scale statefulset replica --replicas="$wished"
    kube rollout status statefulset/replica --timeout=600s
    # Upwards: new pods keep up, then vote. A place that was drained before counts again; membership
    # knows who is there once it is ready.
    ordinal=$present
    while [ "$ordinal" -lt "$wished" ]; do
        node=$(drained_at "replica-$ordinal") || exit 1
        [ -z "$node" ] || ctl node undrain "r$node"
        ordinal=$((ordinal + 1))
    done
}

# From the highest ordinal to 0: with the lead at 0 it changes hands once, at the end.
roll() {
    # An update stops a pod although another one is not ready: not with two of three.
    whole
    node=$(node_of replica-0)
    [ -z "$node" ] || ctl node transfer-leader "r$node" || say "the lead stays where it is"
    kube rollout restart statefulset/replica
    kube rollout status statefulset/replica --timeout=1200s
    kube rollout restart deployment/gateway statefulset/membership
    kube rollout status deployment/gateway --timeout=600s
}

case ${1:-} in
    up | down | status | scale | roll | certificates) "$1" ;;
    *) fail "usage: k8s/cluster.sh up|down|status|scale|roll|certificates" ;;
esac
