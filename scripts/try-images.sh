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

# The image that docker-compose.yml names or, where it cannot be had, one of Debian's packages with its data in FOLDER.
#   stand_in NAME OWNER FOLDER ENTRYPOINT PACKAGE…    prints the image
stand_in() {
    name=$1 owner=$2 data=$3 entrypoint=$4; shift 4
    named=$(sed -n "s,^ *image: \(\([a-z]*/\)*$name:.*\),\1,p" docker-compose.yml)
    made=zoran-$name:stand-in
    if docker image inspect "$named" >/dev/null 2>&1 || timeout 60 docker pull --quiet "$named" >/dev/null 2>&1; then
        printf '%s' "$named"
        return
    fi
    say "STAND-IN: $named cannot be had here; Debian's $* takes its place"
    if ! docker image inspect "$made" >/dev/null 2>&1; then
        docker rm --force "zoran-$name-made" >/dev/null 2>&1 || true
        docker run --name "zoran-$name-made" --network host zoran-python:stand-in sh -c \
            "apt-get -qq update && apt-get -qq install -y --no-install-recommends $* && install -d -o $owner -g $owner $data" \
            >"$folder/$name.log" 2>&1 || { tail -n 3 "$folder/$name.log" >&2; return 1; }
        docker commit --change "VOLUME $data" --change "ENTRYPOINT $entrypoint" "zoran-$name-made" "$made" >/dev/null
        docker rm "zoran-$name-made" >/dev/null
    fi
    printf '%s' "$made"
}
ZORAN_TEST_REDIS=$(stand_in redis 999 /data '[]' redis-server)
ZORAN_TEST_PROMETHEUS=$(stand_in prometheus 65534 /prometheus '["/usr/bin/prometheus"]' prometheus wget)
export ZORAN_TEST_REDIS ZORAN_TEST_PROMETHEUS
docker images >&2
ZORAN_TEST_IMAGE=$image "$python" -m pytest -v --durations=0 tests/cluster/test_image_runs.py tests/cluster/test_stack_runs.py "$@"
scripts/image.sh sandbox zoran-sandbox:try "$image"
docker run --rm --network none --read-only --cap-drop ALL zoran-sandbox:try python3 -m pytest --version >&2
