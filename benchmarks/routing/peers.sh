#!/usr/bin/env bash
# Installs what we compare with under benchmarks/.peers (ignored by git): paretobandit 0.1.1. It is imported
# into our own process, behind our own packages, so that both run on the same interpreter and numpy.
# Quick when everything is there. Needs uv (`make setup` brings it).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
target=$here/../.peers/paretobandit
want='paretobandit==0.1.1'
uv=$here/../../.venv/bin/uv
[ -x "$uv" ] || uv=$(command -v uv) || { echo "uv is missing; run make setup" >&2; exit 3; }
# uv does not read pip's setting.
export UV_FIND_LINKS=${UV_FIND_LINKS:-${PIP_FIND_LINKS:-}}
python=$here/../../.venv/bin/python
[ -x "$python" ] || python=3.11
if [ "$(cat "$target/.installed" 2>/dev/null)" = "$want" ]; then
    echo "paretobandit: installed"
    exit 0
fi
echo "paretobandit: installing $want"
mkdir -p "$target"
"$uv" pip install --quiet --python "$python" --target "$target" "$want"
echo "$want" > "$target/.installed"
