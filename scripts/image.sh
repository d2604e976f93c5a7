#!/bin/sh
# Builds one target of cluster/docker/Dockerfile: on the base image that it names or, where that cannot be had, on a
# stand-in for it (scripts/base-image.sh), and says which.
#   scripts/image.sh TARGET TAG     cpu, gpu, or `runtime`: what both stand on, without Python packages
#   scripts/image.sh sandbox TAG IMAGE    sandbox.Dockerfile, from an image that was built so
# SSL_CERT_FILE   certificates to trust while packages are fetched, if not the base image's
# PIP_FIND_LINKS  a folder with a CPU build of torch, where its own index cannot be reached
set -eu
cd "$(dirname "$0")/.."
target=$1 tag=$2
stand_in=zoran-python:stand-in
wheels_port=${WHEELS_PORT:-8971}
say() { printf '[image] %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# BuildKit is needed: a client with buildx, or one from before buildx was a program of its own.
builder=
for each in docker /usr/bin/docker; do
    major=$("$each" --version 2>/dev/null | sed -n 's/.*version \([0-9]*\).*/\1/p')
    if [ -n "$major" ] && { [ "$major" -lt 23 ] || "$each" buildx version >/dev/null 2>&1; }; then builder=$each; break; fi
done
[ -n "$builder" ] || fail "no Docker client here that knows BuildKit: install docker-buildx."

if [ "$target" = sandbox ]; then
    DOCKER_BUILDKIT=1 exec "$builder" build --progress plain --build-arg "ZORAN_IMAGE=$3" --tag "$tag" \
        --file cluster/docker/sandbox.Dockerfile .
fi

named=$(sed -n 's/^ARG PYTHON_IMAGE=//p' cluster/docker/Dockerfile)
has() { docker image inspect "$1" >/dev/null 2>&1; }
if has "$named" || timeout 60 docker pull --quiet "$named" >/dev/null 2>&1; then base=$named
else
    say "STAND-IN: $named cannot be had here"
    base=$stand_in
    has "$base" || scripts/base-image.sh "$base"
fi

set -- --network host --build-arg "PYTHON_IMAGE=$base"
[ -z "${SSL_CERT_FILE:-}" ] || set -- "$@" --secret "id=ca,src=$SSL_CERT_FILE"
server=
trap '[ -z "$server" ] || kill "$server"' EXIT
if [ "$target" = cpu ] && [ -d "${PIP_FIND_LINKS:-}" ]; then
    # Over loopback: the folder is part of neither the image nor what it is made of. The port is part of what Docker
    # knows the step by, so it is always the same.
    python3 -m http.server "$wheels_port" --bind 127.0.0.1 --directory "$PIP_FIND_LINKS" >/dev/null 2>&1 &
    server=$!
    sleep 1
    kill -0 "$server" 2>/dev/null || { server=; fail "port $wheels_port is taken; name another with WHEELS_PORT."; }
    set -- "$@" --build-arg "CPU_TORCH=--find-links http://127.0.0.1:$wheels_port/"
fi
say "building $tag ($target) on $base"
DOCKER_BUILDKIT=1 timeout "${BUILD_TIMEOUT_S:-3600}" "$builder" build --progress plain "$@" --target "$target" --tag "$tag" \
    --file cluster/docker/Dockerfile . || fail "the build failed, see above."
