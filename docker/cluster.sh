#!/bin/sh
# Starts, shows and stops a cluster on this machine: in containers by compose, or as
# processes by `chatterctl up`. `make up`, `make down` and their like are this script.
#
#   cluster.sh up | demo | down | status | logs | images | wipe | need PROGRAM… | compose WORD…
#
# MODE=auto|compose|local   PORT=1050   DATA=data   READY_SECONDS=120
set -eu

cd "$(dirname "$0")/.."

MODE=${MODE:-auto}
PORT=${PORT:-1050}
DATA=${DATA:-data}
READY_SECONDS=${READY_SECONDS:-120}
PROJECT=${COMPOSE_PROJECT_NAME:-chatterbox}
IMAGE=${CHATTERBOX_IMAGE:-chatterbox:local}
CHATTERCTL=target/release/chatterctl
SCHEME=http
[ -z "${CHATTERBOX_CERTIFICATE:-}" ] || SCHEME=https

export CHATTERBOX_PUBLISH="${CHATTERBOX_PUBLISH:-$PORT}"
export CHATTERBOX_IMAGE="$IMAGE"

say() { printf '%s\n' "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# --- What must be installed -------------------------------------------------------------------

# Fails with every missing program at once, and where each comes from.
need() {
    missing=0
    for program in "$@"; do
        have "$program" && continue
        missing=1
        case $program in
            cargo) say "missing: cargo. Install Rust: https://rustup.rs" ;;
            node | npm) say "missing: $program. Install Node.js 20 or newer: https://nodejs.org" ;;
            cc) say "missing: cc, to compile SQLite. Debian: apt-get install gcc libc6-dev" ;;
            *) say "missing: $program" ;;
        esac
    done >&2
    [ "$missing" = 0 ]
}

# --- Docker -----------------------------------------------------------------------------------

engine_answers() { have docker && docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

# Compose v2 is a plugin of docker, v1 a program of its own.
compose() {
    [ -z "${CHATTERBOX_CERTIFICATE:-}" ] || set -- -f docker/https.yaml "$@"
    if docker compose version >/dev/null 2>&1; then
        docker compose -p "$PROJECT" -f docker/compose.yaml "$@"
    else
        docker-compose -p "$PROJECT" -f docker/compose.yaml "$@"
    fi
}

have_compose() { docker compose version >/dev/null 2>&1 || have docker-compose; }

# Prints the command that builds with BuildKit. Clients before 23 have it built in, later
# ones need the buildx plugin; a machine may have both kinds, and then either will do.
builder() {
    if docker buildx version >/dev/null 2>&1; then
        say "docker buildx build --load"
        return 0
    fi
    saved=$IFS
    IFS=:
    for directory in $PATH; do
        client=$directory/docker
        [ -x "$client" ] || continue
        major=$("$client" --version 2>/dev/null | sed -n 's/^Docker version \([0-9]*\)\..*/\1/p')
        if [ "${major:-99}" -lt 23 ]; then
            IFS=$saved
            say "env DOCKER_BUILDKIT=1 $client build"
            return 0
        fi
    done
    IFS=$saved
    return 1
}

# Why containers cannot be used here; nothing when they can.
compose_obstacle() {
    if ! have docker; then
        say "docker is not installed"
    elif ! engine_answers; then
        say "no Docker engine answers (docker version)"
    elif ! have_compose; then
        say "neither 'docker compose' nor docker-compose is installed"
    elif ! builder >/dev/null; then
        say "docker cannot build with BuildKit here: install the buildx plugin (docker-buildx)"
    fi
}

build_image() {
    revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
    # The commit's time, not this moment's: the same sources give the same image, and `make up`
    # on a running cluster restarts nothing.
    created=$(git log -1 --format=%cI 2>/dev/null || echo 1970-01-01T00:00:00Z)
    say "Building $IMAGE (the first time takes minutes, later only what changed) …"
    # Unquoted on purpose: builder prints words.
    # shellcheck disable=SC2046
    $(builder) -f docker/Dockerfile -t "$IMAGE" \
        --build-arg REVISION="$revision" --build-arg CREATED="$created" .
}

containers() { docker ps -aq --filter "label=com.docker.compose.project=$PROJECT"; }

# One line per container: name, then its health, or its state when it does not run.
container_states() {
    state='{{if and .State.Running .State.Health}}{{.State.Health.Status}}{{else}}{{.State.Status}}{{end}}'
    # shellcheck disable=SC2046
    docker inspect --format "{{slice .Name 1}} $state" $(containers) | sort
}

wait_healthy() {
    waited=0
    while :; do
        states=$(container_states)
        total=$(say "$states" | wc -l)
        healthy=$(say "$states" | grep -c ' healthy$' || true)
        if [ "$healthy" -eq "$total" ]; then
            say "  $healthy of $total healthy after $waited s"
            return 0
        fi
        if [ "$waited" -ge "$READY_SECONDS" ]; then
            say "Not ready after $READY_SECONDS s:" >&2
            say "$states" >&2
            compose logs --tail 20 >&2
            fail "the cluster did not become healthy; it still runs: make logs, make down"
        fi
        [ $((waited % 5)) -ne 0 ] || say "  $healthy of $total healthy …"
        sleep 1
        waited=$((waited + 1))
    done
}

up_compose() {
    say "Starting the containers …"
    compose up -d --no-build --remove-orphans || fail \
        "compose failed. If the port is taken: make up PORT=1060"
    wait_healthy
    replica=$(container_states | sed -n 's/^\([^ ]*replica[^ ]*\) .*/\1/p' | head -n 1)
    # Docker takes its own `kill` for a wish and does not restart; a crash it does.
    welcome "docker kill -s KILL $replica" " (make up: it is back)"
}

# --- Local processes --------------------------------------------------------------------------

build_local() {
    need cargo node npm cc ||
        fail "cannot build here; with a Docker engine, 'make up' needs none of these"
    ${MAKE:-make} --no-print-directory programs
}

up_local() {
    # It says itself what to try next.
    "$CHATTERCTL" up --data "$DATA" --port "$PORT"
}

# --- Commands ---------------------------------------------------------------------------------

# $1: how to kill one replica. $2: how it comes back, where it does not by itself.
welcome() {
    cat <<TEXT

Chatterbox is ready:  $SCHEME://localhost:$PORT
Choose a name and write; the first account is the owner.

Try next:
  make status       who leads, who follows
  $1
                    kill a replica while you write: nothing is lost${2:-}
  make logs         what they say
  make down         stop; the data stays
TEXT
}

up() {
    case $MODE in
        local)
            build_local
            up_local
            ;;
        compose)
            obstacle=$(compose_obstacle)
            [ -z "$obstacle" ] || fail "$obstacle"
            build_image
            up_compose
            ;;
        auto)
            obstacle=$(compose_obstacle)
            if [ -n "$obstacle" ]; then
                say "No containers: $obstacle. Running as processes of this machine."
            elif build_image; then
                up_compose
                return 0
            else
                # An engine without a way to the base images is common behind a firewall.
                say "The image cannot be built (above). Running as processes of this machine"
                say "instead; MODE=compose insists on containers."
            fi
            build_local
            up_local
            ;;
        *) fail "MODE is '$MODE'; it must be auto, compose or local" ;;
    esac
}

# Starts the cluster if nothing runs, and fills it. What runs already is filled as it is.
# In a demo admins may break replicas, from the cluster panel.
demo() {
    export CHATTERBOX_DEMO=true CHATTERBOX_REPLICA_DEMO=true CHATTERBOX_GATEWAY_DEMO=true
    if ! compose_runs && ! local_runs_now; then
        up
    fi
    if compose_runs; then
        gateway=$(docker ps -q --filter "label=com.docker.compose.project=$PROJECT" \
            --filter label=com.docker.compose.service=gateway-1)
        [ -n "$gateway" ] || fail "no gateway runs: make status"
        # The container writes nothing but /tmp. With another container the demo's people are
        # strangers, and it says so.
        docker exec -e XDG_STATE_HOME=/tmp "$gateway" /usr/local/bin/chatterctl demo
    else
        "$CHATTERCTL" demo --url "http://localhost:$PORT"
    fi
}

compose_runs() {
    [ "$MODE" != local ] && engine_answers && have_compose && [ -n "$(containers)" ]
}
local_runs() { [ "$MODE" != compose ] && [ -x "$CHATTERCTL" ] && [ -d "$DATA" ]; }

local_runs_now() { local_runs && "$CHATTERCTL" status --data "$DATA" >/dev/null 2>&1; }

# Both kinds, unless MODE names one: `up` may have chosen either.
down() {
    stopped=0
    if compose_runs; then
        compose --profile two-gateways --profile standby down
        stopped=1
    fi
    if local_runs; then
        "$CHATTERCTL" down --data "$DATA"
        stopped=1
    fi
    [ "$stopped" = 1 ] || say "Nothing runs."
}

status() {
    if compose_runs; then
        container_states
        # Whichever runs: each of them but the authority knows where membership is.
        running=$(docker ps --filter "label=com.docker.compose.project=$PROJECT" \
            --format '{{.ID}} {{.Label "com.docker.compose.service"}}' |
            awk '$2 != "certificates" { print $1; exit }')
        [ -z "$running" ] || docker exec "$running" /usr/local/bin/chatterctl status || true
    elif local_runs; then
        "$CHATTERCTL" status --data "$DATA"
    else
        say "Nothing runs. Start it: make up"
    fi
}

logs() {
    if compose_runs; then
        # v2 leaves out what the profiles of this moment do not name, though it runs.
        compose --profile two-gateways --profile standby logs -f --tail 100
    elif local_runs; then
        tail -n 50 -F "$DATA"/*/*.log
    else
        say "Nothing runs. Start it: make up"
    fi
}

# The containers' volumes are deleted here; local data by `chatterctl purge`, which knows what
# in the directory is its own and asks before it deletes.
wipe() {
    if [ "$MODE" != local ] && engine_answers && have_compose &&
        [ -n "$(docker volume ls -q --filter "label=com.docker.compose.project=$PROJECT")" ]; then
        say "This deletes every message, account and file in the volumes of $PROJECT."
        printf 'Type "delete" to go on: '
        read -r answer || answer=
        [ "$answer" = delete ] || fail "nothing was deleted"
        compose --profile two-gateways --profile standby down --volumes
        say "Deleted."
    fi
    if local_runs; then
        "$CHATTERCTL" purge --data "$DATA"
    fi
}

command=${1:-}
[ $# -eq 0 ] || shift
case $command in
    up) up ;;
    demo) demo ;;
    down) down ;;
    status) status ;;
    logs) logs ;;
    wipe) wipe ;;
    images)
        obstacle=$(compose_obstacle)
        [ -z "$obstacle" ] || fail "$obstacle"
        build_image
        ;;
    need) need "$@" ;;
    compose) compose "$@" ;;
    *) fail "usage: cluster.sh up|demo|down|status|logs|images|wipe|need PROGRAM…|compose WORD…" ;;
esac
