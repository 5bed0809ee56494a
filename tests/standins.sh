#!/bin/sh
# Stand-ins for the base images of docker/Dockerfile, under their names, for a machine that reaches
# the packages of Debian, Rust and npm but no registry of images. Made from Debian by debootstrap
# and from this machine's Rust and Node. For tests: what is released is built on the real ones.
#
#   tests/standins.sh            makes the ones that the engine does not have
set -eu

cd "$(dirname "$0")/.."
. tests/tools.sh

# The names are the Dockerfile's, and nowhere else.
image_of() { sed -n "s/^ARG $1_IMAGE=//p" docker/Dockerfile; }
NODE=$(image_of NODE)
RUST=$(image_of RUST)
RUNTIME=$(image_of RUNTIME)
SUITE=bookworm
BASE=chatterbox-standin:$SUITE

missing() { ! docker image inspect "$1" >/dev/null 2>&1; }

# What a program in a container needs to reach the same registries as this machine's.
trusted() {
    mkdir -p "$1/etc/ssl/certs"
    cp -L /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/"
}

make_base() {
    need_package debootstrap debootstrap
    mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
        sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb *\(\[[^]]*\] *\)\{0,1\}\(http[^ ]*\).*/\2/p' | head -n 1)
    debootstrap --variant=minbase --include=ca-certificates,gcc,libc6-dev,pkg-config,make \
        "$SUITE" "$work/base" ${mirror:+"$mirror"}
    trusted "$work/base"
    tar -c -C "$work/base" . | docker import \
        --change 'ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt' \
        --change 'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt' - "$BASE"
}

# standin NAME FOLDER PATH: the base with this folder over its root.
standin() {
    printf 'FROM %s\nCOPY . /\nENV PATH=%s\n' "$BASE" "$3" >"$work/Dockerfile"
    # Not BuildKit: a build on an image that only this engine has needs nothing of it.
    DOCKER_BUILDKIT=0 docker build --quiet -t "$1" -f "$work/Dockerfile" "$2"
}

make_rust() {
    tree=$work/rust
    mkdir -p "$tree/usr/local/cargo"
    cp -a "$(rustc --print sysroot)" "$tree/usr/local/rust"
    rm -rf "$tree/usr/local/rust/share/doc"
    for config in "${CARGO_HOME:-$HOME/.cargo}"/config.toml; do
        [ ! -f "$config" ] || cp "$config" "$tree/usr/local/cargo/"
    done
    # Cargo looks for its settings in the folders above the sources, too.
    mkdir -p "$tree/.cargo"
    [ ! -f "$tree/usr/local/cargo/config.toml" ] || cp "$tree/usr/local/cargo/config.toml" "$tree/.cargo/"
    standin "$RUST" "$tree" /usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
}

make_node() {
    tree=$work/node
    mkdir -p "$tree/usr/local/bin" "$tree/usr/local/lib/node_modules" "$tree/root"
    cp -L "$(command -v node)" "$tree/usr/local/bin/node"
    cp -aL "$(dirname "$(readlink -f "$(command -v npm)")")/.." "$tree/usr/local/lib/node_modules/npm"
    [ ! -f "$HOME/.npmrc" ] || cp "$HOME/.npmrc" "$tree/root/"
    cat >"$tree/usr/local/bin/npm" <<'NPM'
#!/bin/sh
exec /usr/local/bin/node /usr/local/lib/node_modules/npm/bin/npm-cli.js "$@"
NPM
    chmod +x "$tree/usr/local/bin/npm"
    standin "$NODE" "$tree" /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
}

# As bare as distroless: the C library, libgcc, the authorities, a user; no shell.
make_runtime() {
    tree=$work/runtime
    mkdir -p "$tree/lib64" "$tree/lib/x86_64-linux-gnu" "$tree/home/nonroot" "$tree/tmp"
    docker create --name chatterbox-standin "$BASE" true >/dev/null
    for library in libc.so.6 libm.so.6 libgcc_s.so.1 libresolv.so.2 libnss_dns.so.2 libnss_files.so.2; do
        docker cp -L "chatterbox-standin:/usr/lib/x86_64-linux-gnu/$library" "$tree/lib/x86_64-linux-gnu/"
    done
    docker cp -L chatterbox-standin:/lib64/ld-linux-x86-64.so.2 "$tree/lib64/"
    docker rm chatterbox-standin >/dev/null
    trusted "$tree"
    echo 'hosts: files dns' >"$tree/etc/nsswitch.conf"
    echo 'nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin' >"$tree/etc/passwd"
    echo 'nonroot:x:65532:' >"$tree/etc/group"
    chmod 1777 "$tree/tmp"
    tar -c -C "$tree" . | docker import --change 'USER 65532' - "$RUNTIME"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
missing "$RUST" || missing "$NODE" || missing "$RUNTIME" || exit 0
if missing "$BASE"; then make_base; fi
if missing "$RUST"; then make_rust; fi
if missing "$NODE"; then make_node; fi
if missing "$RUNTIME"; then make_runtime; fi
