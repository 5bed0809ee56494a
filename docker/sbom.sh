#!/bin/sh
# `make sbom`: what is in the image, as CycloneDX: one file for each program, and one for the page.
# The programs' by cargo-cyclonedx, with the features and the target that the image is built with;
# the page's by npm. Both read the lock files, so they say what is built, not what could be.
set -eu

cd "$(dirname "$0")/.."
. tests/tools.sh

OUT=${OUT:-target/sbom}
PROGRAMS="replica gateway membership chatterctl"

have cargo-cyclonedx || fail "cargo-cyclonedx is missing: cargo install --locked cargo-cyclonedx"
docker/cluster.sh need cargo npm || exit 1

mkdir -p "$OUT"
for program in $PROGRAMS; do
    manifest=$(cargo metadata --format-version 1 --locked --no-deps |
        sed -n "s/.*\"name\":\"$program\"[^}]*\"manifest_path\":\"\([^\"]*\)\".*/\1/p")
    manifest=${manifest:-services/$program/Cargo.toml}
    # It writes beside the manifest; nothing of it is kept there.
    cargo cyclonedx --quiet --manifest-path "$manifest" --format json --spec-version 1.5 \
        --target x86_64-unknown-linux-gnu --override-filename "$program.cdx"
    find services -name "$program.cdx.json" -path "*/$program/*" -exec mv {} "$OUT/" \;
    find services proto tests -name "$program.cdx.json" -delete
    [ -s "$OUT/$program.cdx.json" ] || fail "cargo-cyclonedx wrote nothing for $program"
done
# Our own crates are named by where they lie: from the root of the sources, not of this machine's disk.
sed -i "s#file://$(pwd)#file://#g" "$OUT"/*.cdx.json
(cd web && npm sbom --omit=dev --package-lock-only --sbom-format=cyclonedx) >"$OUT/page.cdx.json"
for file in "$OUT"/*.cdx.json; do
    parts=$(grep -c '"purl"' "$file" || true)
    [ "$parts" -gt 0 ] || fail "$file names no package"
    ! grep -qF "$(pwd)" "$file" || fail "$file names a path of this machine"
    say "$file: $parts packages"
done
