#!/usr/bin/env bash
# Installs what we compare with under benchmarks/.peers (ignored by git): presidio-analyzer, which is imported
# into our own process, behind our own packages. With "engines" as argument also google-re2 and hyperscan, for
# `python -m benchmarks.memory.pii_engines`. Quick when everything is there. Needs uv (`make setup` brings it).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
uv=$here/../../.venv/bin/uv
[ -x "$uv" ] || uv=$(command -v uv) || { echo "uv is missing; run make setup" >&2; exit 3; }
# uv does not read pip's setting.
export UV_FIND_LINKS=${UV_FIND_LINKS:-${PIP_FIND_LINKS:-}}
python=$here/../../.venv/bin/python
[ -x "$python" ] || python=3.11

install() { # NAME REQUIREMENT…
    local target=$here/../.peers/$1
    shift
    if [ "$(cat "$target/.installed" 2>/dev/null)" = "$*" ]; then
        echo "$*: installed"
        return
    fi
    echo "$*: installing"
    mkdir -p "$target"
    "$uv" pip install --quiet --python "$python" --target "$target" "$@"
    echo "$*" > "$target/.installed"
}

install presidio 'presidio-analyzer==2.2.360'
if [ "${1:-}" = engines ]; then
    install pattern-engines google-re2 hyperscan
fi
