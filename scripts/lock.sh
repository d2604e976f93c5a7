#!/bin/sh
# Writes requirements/{cpu,gpu,dev,clients}.txt: every package pinned, with hashes, without any index's address.
set -eu
cd "$(dirname "$0")/.."
export UV_FIND_LINKS="${PIP_FIND_LINKS:-}" UV_CUSTOM_COMPILE_COMMAND="make lock"
uv=.venv/bin/uv
compile() {
    out=$1; shift
    "$uv" pip compile --quiet --generate-hashes --python-version 3.11 --python-platform linux --no-emit-index-url \
        --no-emit-find-links "$@" --output-file "$out"
    # One wheel of torch per Python version and platform, and the CPU builds are not on the common
    # index: its pin stands without a hash, so that any source may deliver it.
    python3 - "$out" <<'PY'
import re, sys, pathlib
path = pathlib.Path(sys.argv[1])
text = path.read_text()
path.write_text(re.sub(r"(?m)^(torch==[^\\\n]*?) \\\n(?:    --hash=\S+(?: \\)?\n)+", r"\1\n", text))
PY
    echo "wrote $out"
}
compile requirements/cpu.txt pyproject.toml --extra all --extra cpu --overrides requirements/overrides.txt
compile requirements/dev.txt pyproject.toml --extra all --extra cpu --extra dev --overrides requirements/overrides.txt
compile requirements/clients.txt requirements/clients.in
# A local CPU wheel of torch must not be taken for the CUDA one.
export UV_FIND_LINKS=
compile requirements/gpu.txt pyproject.toml --extra all --extra gpu
