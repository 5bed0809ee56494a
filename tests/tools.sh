# Shared by the scripts of the tests, which source it from the repository's root: steps with their
# time, the tools that a clean machine may lack, and a copy of the sources to break.

# The point of a failpoint is to stop a process at the worst moment; only tests compile it in.
# One set of features for every Cargo command, or each would compile the dependencies anew.
# shellcheck disable=SC2034
FEATURES="--workspace --locked --features replica/failpoints"

say() { printf '%s\n' "$*"; }
fail() { printf '\nerror: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# step NAME COMMAND…: runs it under a heading and remembers how long it took.
TIMES=
step() {
    step_name=$1
    shift
    printf '\n=== %s\n' "$step_name"
    step_began=$(date +%s)
    "$@" || { printf '\nFAILED: %s\n' "$step_name" >&2; return 1; }
    TIMES="$TIMES$(printf '%5d s  %s' $(($(date +%s) - step_began)) "$step_name")
"
}

# need_package PROGRAM PACKAGES…: installs the packages where that can be done without asking
# (root on Debian), and says what is missing where it cannot.
need_package() {
    program=$1
    shift
    have "$program" && return 0
    install_for "$program" "$@"
    have "$program" || fail "$program is still missing after installing $*"
}

# install_for WHAT PACKAGES…: the same for what is no program.
install_for() {
    program=$1
    shift
    if have apt-get && [ "$(id -u)" = 0 ]; then
        say "$program is missing; installing $*"
        apt_log=$(mktemp)
        if ! { apt-get update && DEBIAN_FRONTEND=noninteractive \
            apt-get install -y --no-install-recommends "$@"; } >"$apt_log" 2>&1; then
            tail -n 20 "$apt_log"
            fail "$program is missing, and apt-get could not install $*"
        fi
        rm -f "$apt_log"
    else
        fail "$program is missing. On Debian: apt-get install $*"
    fi
}

# copy_tracked COPY PATHSPEC…: the files that git tracks, as they are in the work tree, in a
# repository of their own, so that a patch can be applied and taken back.
copy_tracked() {
    copy=$1
    shift
    rm -rf "$copy"
    mkdir -p "$copy"
    git ls-files -z --cached --others --exclude-standard -- "$@" |
        xargs -0 -I FILE sh -c '[ ! -e "$1" ] || cp --parents "$1" "$2"' copy FILE "$copy"
    git -C "$copy" init --quiet
    git -C "$copy" add --all --force
    git -C "$copy" -c user.name=copy -c user.email=copy@localhost \
        commit --quiet --message copy
}

find_chromium() {
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        have "$name" && { command -v "$name"; return 0; }
    done
    return 1
}

# Packages of $1, installed when the lock file is newer than what is there.
npm_packages() { ${MAKE:-make} --no-print-directory "$1/node_modules/.package-lock.json"; }

# in_directory DIRECTORY COMMAND…
in_directory() {
    directory=$1
    shift
    (cd "$directory" && "$@")
}
