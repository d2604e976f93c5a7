#!/bin/sh
# Makes .venv with everything pinned in requirements/. Asks nothing, does nothing the second time.
#   scripts/setup.sh [dev]      ZORAN_BUILD=cpu|gpu   which vLLM (default: gpu if nvidia-smi finds one)
#                               PYTHON=python3.12     which interpreter makes the environment
set -eu
cd "$(dirname "$0")/.."
say() { printf '\033[2m[setup]\033[0m %s\n' "$*" >&2; }
fail() { printf '[setup] %s\n' "$*" >&2; exit 3; }

wanted=${1:-run}
build=${ZORAN_BUILD:-}
if [ -z "$build" ]; then
    if command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L 2>/dev/null | grep -q GPU; then build=gpu; else build=cpu; fi
fi
case "$build" in cpu | gpu) ;; *) fail "ZORAN_BUILD must be cpu or gpu, not '$build'." ;; esac
[ "$wanted" = dev ] && [ "$build" = cpu ] && lock=requirements/dev.txt || lock=requirements/$build.txt

stamp=.venv/.zoran-setup
state="$build $wanted $(cat "$lock" requirements/overrides.txt pyproject.toml | cksum)"
if [ -f "$stamp" ]; then
    # What tests need includes what serving needs.
    [ "$(cat "$stamp")" = "$state" ] && exit 0
    [ "$wanted" = run ] && [ "$(cat "$stamp")" = "$build dev $(cat requirements/dev.txt requirements/overrides.txt pyproject.toml | cksum)" ] && exit 0
fi

if [ ! -x .venv/bin/python ]; then
    for python in ${PYTHON:-python3.12 python3.11 python3.13 python3}; do
        "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && break
        python=
    done
    [ -n "$python" ] || fail "Python 3.11, 3.12 or 3.13 is needed; install one, or name it with PYTHON=…"
    say "making .venv with $("$python" --version)"
    "$python" -m venv .venv || fail "'$python -m venv' failed; on Debian and Ubuntu: apt-get install python3-venv"
fi
[ -x .venv/bin/uv ] || { say "installing uv"; .venv/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.8 >&2; }

say "installing the $build build of vLLM and everything else pinned in $lock (a few GB the first time)"
# Compiled now (half a minute), not by the first start: an engine imports vLLM in three processes.
export UV_COMPILE_BYTECODE=1
export UV_FIND_LINKS="${UV_FIND_LINKS:-${PIP_FIND_LINKS:-}}" UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-300}" VIRTUAL_ENV="$PWD/.venv"
install() { .venv/bin/uv pip install --quiet --overrides requirements/overrides.txt "$@"; }
if [ "$build" = cpu ]; then
    # CPU builds of torch have an index of their own; a local wheel or mirror comes first.
    install -r "$lock" 2>/dev/null || install --torch-backend cpu -r "$lock" || fail "installing failed, see above; run again to resume."
else
    .venv/bin/uv pip install --quiet -r "$lock" || fail "installing failed, see above; run again to resume."
    [ "$wanted" = dev ] && .venv/bin/uv pip install --quiet '.[dev]'
fi
.venv/bin/uv pip install --quiet --no-deps -e .
# The same for what routing learns with.
.venv/bin/python -c 'import zoran_ray.routing.kernel' || fail "the router cannot be compiled, see above."
printf '%s' "$state" > "$stamp"
say "done: .venv/bin/zoran doctor tells whether all is well"
