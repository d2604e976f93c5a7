#!/bin/sh
# Installs the clients that tests/integration runs against a server: Python ones in .venv-clients (they
# conflict with our own pins), JavaScript ones in tests/clients/node_modules. Quick when all is there.
#   scripts/setup-clients.sh [python|node]
# Ends with 3 when a tool or a registry is missing; the tests then say so and are skipped.
set -eu
cd "$(dirname "$0")/.."
fail() { printf '[setup-clients] %s\n' "$*" >&2; exit 3; }

setup_python() {
    state=$(cksum < requirements/clients.txt)
    [ "$(cat .venv-clients/.setup 2>/dev/null)" = "$state" ] && return
    uv=.venv/bin/uv
    [ -x "$uv" ] || uv=$(command -v uv) || fail "uv is missing; run make setup"
    # uv does not read pip's setting.
    export UV_FIND_LINKS="${UV_FIND_LINKS:-${PIP_FIND_LINKS:-}}"
    "$uv" venv --quiet --clear --python .venv/bin/python .venv-clients || fail "no environment could be made"
    "$uv" pip install --quiet --require-hashes --python .venv-clients/bin/python -r requirements/clients.txt \
        || fail "the Python clients could not be installed, see above"
    printf '%s' "$state" > .venv-clients/.setup
}

setup_node() {
    cd tests/clients
    state=$(cksum < package-lock.json)
    [ "$(cat node_modules/.setup 2>/dev/null)" = "$state" ] && return
    node -e 'process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)' 2>/dev/null \
        || fail "Node 20 or newer is missing"
    npm ci --no-audit --no-fund --ignore-scripts --loglevel=error >&2 \
        || fail "the JavaScript clients could not be installed, see above"
    printf '%s' "$state" > node_modules/.setup
}

case "${1:-all}" in
    python) setup_python ;;
    node) setup_node ;;
    all) setup_python; setup_node ;;
    *) fail "unknown set of clients '$1'; there are python and node" ;;
esac
