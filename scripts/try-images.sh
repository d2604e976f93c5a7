#!/bin/sh
# Before a release: builds the image `cpu`, tries it alone and as docker-compose.yml starts it, and says sizes and
# seconds. Where a base image cannot be had it is tried on a stand-in, and that is said.
#   scripts/try-images.sh FOLDER [PYTEST-WORDS]   FOLDER takes a daemon's data, 20 GB, if none answers; it goes at the end
# Wants Docker Compose 2.20 or later: the client's plugin, or docker-compose in PATH.
set -eu
cd "$(dirname "$0")/.."
folder=$1; shift
python=${PYTHON:-.venv/bin/python}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
image=zoran:$version-cpu
say() { printf '[try-images] %s\n' "$*" >&2; }

mkdir -p "$folder"
trap 'scripts/dockerd.sh "$folder" stop' EXIT
trap 'exit 130' INT TERM
scripts/dockerd.sh "$folder" net

began=$(date +%s)
scripts/image.sh cpu "$image"
say "built $image in $(($(date +%s) - began)) s"

redis=$(sed -n 's/^ *image: \(redis:.*\)/\1/p' docker-compose.yml)
if ! docker image inspect "$redis" >/dev/null 2>&1 && ! timeout 60 docker pull --quiet "$redis" >/dev/null 2>&1; then
    say "STAND-IN: $redis cannot be had here; Debian's Redis takes its place"
    stand_in=zoran-redis:stand-in
    if ! docker image inspect "$stand_in" >/dev/null 2>&1; then
        docker rm --force zoran-redis-made >/dev/null 2>&1 || true
        docker run --name zoran-redis-made --network host zoran-python:stand-in sh -c \
            'apt-get -qq update && apt-get -qq install -y --no-install-recommends redis-server && install -d -o 999 -g 999 /data' \
            >"$folder/redis.log" 2>&1 || { tail -n 3 "$folder/redis.log" >&2; exit 1; }
        docker commit --change 'VOLUME /data' zoran-redis-made "$stand_in" >/dev/null
        docker rm zoran-redis-made >/dev/null
    fi
    export ZORAN_TEST_REDIS=$stand_in
fi
docker images >&2
ZORAN_TEST_IMAGE=$image "$python" -m pytest -v --durations=0 tests/cluster/test_image_runs.py tests/cluster/test_stack_runs.py "$@"
scripts/image.sh sandbox zoran-sandbox:try "$image"
docker run --rm --network none --read-only --cap-drop ALL zoran-sandbox:try python3 -m pytest --version >&2
