#!/bin/sh
# `make test-containers`: the image, and what it is for. Builds docker/Dockerfile, looks at what came
# out, starts a cluster of its own by `make up`, kills a replica in it, makes a backup and restores
# that into another cluster. The last step of `make test`.
#
# Needs a Docker engine; as root on Debian it installs and starts one. Base images that no registry
# gives are made here (tests/standins.sh). With WHERE_POSSIBLE=1 it ends well, with a word, where neither
# is to be had.
set -eu

cd "$(dirname "$0")/.."
. tests/tools.sh

IMAGE=chatterbox:local
# Compressed, as a registry keeps it and a node fetches it.
SIZE_MAX_MB=40
PROJECT=chatterbox-test
RESTORED=chatterbox-test-restored
PORT=${PORT:-1150}
work=$(mktemp -d)
engine=

cleanup() {
    [ -n "${KEEP:-}" ] || {
        compose "$PROJECT" --profile operator down --volumes >/dev/null 2>&1 || true
        compose "$RESTORED" --profile operator down --volumes >/dev/null 2>&1 || true
    }
    # Only the engine that was started here.
    [ -z "$engine" ] || kill "$engine"
    rm -rf "$work"
}
trap cleanup EXIT

# compose PROJECT WORD…
compose() {
    project=$1
    shift
    COMPOSE_PROJECT_NAME=$project docker/cluster.sh compose "$@"
}

# The container of a service; compose v1 and v2 name it differently.
container() {
    docker ps -aq --filter "label=com.docker.compose.project=$1" \
        --filter "label=com.docker.compose.service=$2" --filter label=com.docker.compose.oneoff=False
}

answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

# without_engine WHY…
without_engine() {
    [ -n "${WHERE_POSSIBLE:-}" ] || fail "$*"
    say "skipped: $*"
    exit 0
}

start_engine() {
    have docker || { have apt-get && [ "$(id -u)" = 0 ]; } ||
        without_engine "Docker is not installed (https://docs.docker.com/engine/install/)"
    need_package docker docker.io iptables
    docker compose version >/dev/null 2>&1 || need_package docker-compose docker-compose
    answers && return 0
    [ "$(id -u)" = 0 ] ||
        without_engine "no Docker engine answers: start it (systemctl start docker)"
    dockerd >"$work/dockerd.log" 2>&1 &
    engine=$!
    waited=0
    until answers; do
        kill -0 "$engine" 2>/dev/null || {
            engine=
            tail "$work/dockerd.log"
            without_engine "dockerd does not start"
        }
        [ "$waited" -lt 60 ] || without_engine "dockerd does not answer after $waited s"
        sleep 1
        waited=$((waited + 1))
    done
}

# Those that the engine has, those that a registry gives, or stand-ins.
base_images() {
    sed -n 's/^ARG [A-Z]*_IMAGE=//p' docker/Dockerfile | while read -r name; do
        docker image inspect "$name" >/dev/null 2>&1 && continue
        timeout 300 docker pull --quiet "$name" || { say "$name cannot be pulled: a stand-in"; break; }
    done
    tests/standins.sh || without_engine "the base images can neither be pulled nor made"
}

# What the image is: small, labelled, run by nobody in particular, with nothing else in it.
look_at_image() {
    bytes=$(docker save "$IMAGE" | gzip | wc -c)
    say "$IMAGE: $((bytes / 1000000)) MB compressed, $SIZE_MAX_MB are allowed"
    [ "$bytes" -le $((SIZE_MAX_MB * 1000000)) ] || fail "the image is too large"
    for label in title version revision created licenses; do
        value=$(docker image inspect --format "{{index .Config.Labels \"org.opencontainers.image.$label\"}}" "$IMAGE")
        [ -n "$value" ] || fail "the image has no label org.opencontainers.image.$label"
    done
    [ "$(docker image inspect --format '{{.Config.User}}' "$IMAGE")" = 65532:65532 ] ||
        fail "the image does not run as 65532"
    for program in replica gateway membership chatterctl; do
        # Any user, nothing to write to, no network, no privilege.
        docker run --rm --user 54321:54321 --read-only --network none --cap-drop ALL \
            --security-opt no-new-privileges "$IMAGE" "/usr/local/bin/$program" --version
    done
    for shell in /bin/sh /bin/bash /busybox/sh; do
        ! docker run --rm --entrypoint "$shell" "$IMAGE" -c true 2>/dev/null ||
            fail "there is a shell in the image: $shell"
    done
}

up() {
    MODE=compose PORT=$1 COMPOSE_PROJECT_NAME=$2 ${MAKE:-make} --no-print-directory up
}

# Every container as closed as compose.yaml says, and one port, of the gateway, to the outside.
look_at_containers() {
    for id in $(docker ps -q --filter "label=com.docker.compose.project=$PROJECT"); do
        found=$(docker inspect --format \
            '{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.Privileged}} {{.HostConfig.SecurityOpt}}' "$id")
        name=$(docker inspect --format '{{slice .Name 1}}' "$id")
        [ "$found" = 'true [ALL] false [no-new-privileges:true]' ] || fail "$name: $found"
        pid=$(docker inspect --format '{{.State.Pid}}' "$id")
        owner=$(awk '/^Uid:/ { print $2 }' "/proc/$pid/status")
        [ "$owner" = 65532 ] || fail "$name runs as $owner"
    done
    open=$(docker ps --filter "label=com.docker.compose.project=$PROJECT" --format '{{.Ports}}' |
        tr ',' '\n' | sed -n 's/.*:\([0-9]*\)->\([0-9]*\)\/tcp/\1 \2/p' | sort -u)
    [ "$open" = "$PORT 1050" ] || fail "ports to the outside: $open"
    say "$(docker ps -q --filter "label=com.docker.compose.project=$PROJECT" | wc -l) containers, one port: $PORT"
}

# chat PROJECT NAME WORDS: says it in #general, and prints the room as NAME sees it then.
chat() {
    gateway=$(container "$1" gateway-1)
    { say "$3"; sleep 2; } | timeout 30 docker exec -i -e XDG_STATE_HOME=/tmp "$gateway" \
        /usr/local/bin/chatterctl chat --name "$2"
}

# holds TEXT LINES…: each of the lines is there once.
holds() {
    text=$1
    shift
    for line in "$@"; do
        times=$(say "$text" | grep -cF "$line" || true)
        [ "$times" = 1 ] || { say "$text"; fail "“$line” is there $times times"; }
    done
}

kill_one() {
    holds "$(chat "$PROJECT" Ana 'before the crash')" 'Ana: before the crash'
    docker kill --signal KILL "$(container "$PROJECT" replica-1)" >/dev/null
    holds "$(chat "$PROJECT" Ben 'two of three')" 'Ana: before the crash' 'Ben: two of three'
    # Docker takes its own kill for a wish: `make up` undoes it.
    up "$PORT" "$PROJECT"
    holds "$(chat "$PROJECT" Cem 'three again')" \
        'Ana: before the crash' 'Ben: two of three' 'Cem: three again'
}

# As docs/operations.md says it.
backup_and_restore() {
    compose "$PROJECT" run --name "$PROJECT-backup" operator backup /data/backup-1
    docker cp "$PROJECT-backup:/data/backup-1" "$work/backup-1"
    docker rm "$PROJECT-backup" >/dev/null
    (cd "$work/backup-1" && sha256sum --quiet -c SHA256SUMS)
    CHATTERBOX_PUBLISH=$((PORT + 1)) compose "$RESTORED" up --no-start
    docker run --rm -v "$work/backup-1:/backup:ro" -v "${RESTORED}_replica-1:/r1" \
        -v "${RESTORED}_replica-2:/r2" -v "${RESTORED}_replica-3:/r3" "$IMAGE" \
        /usr/local/bin/chatterctl restore /backup --cluster chatterbox \
        --voter /r1=replica-1:1061 --voter /r2=replica-2:1061 --voter /r3=replica-3:1061
    up $((PORT + 1)) "$RESTORED"
    holds "$(chat "$RESTORED" Dora 'after the restore')" \
        'Ana: before the crash' 'Ben: two of three' 'Cem: three again' 'Dora: after the restore'
}

step "engine" start_engine
chmod 755 "$work"
step "base images" base_images
step "image: build" docker/cluster.sh images
step "image: what it is" look_at_image
step "cluster: make up" up "$PORT" "$PROJECT"
step "cluster: closed" look_at_containers
step "cluster: a replica is killed" kill_one
step "cluster: backup, and restore into another one" backup_and_restore
printf '\n%s\nThe containers are as they should be.\n' "$TIMES"
