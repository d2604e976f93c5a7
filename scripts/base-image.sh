#!/bin/sh
# A stand-in for the base image of cluster/docker/Dockerfile where no registry can be reached: Debian's packages, and
# the Python 3.11 that is here, in /usr/local as in the real one. It is for trying the Dockerfile, not for a release.
#   scripts/base-image.sh TAG       PYTHON=python3.11: which interpreter to take
# Needs root, a Docker daemon, and mmdebstrap with a Debian mirror; installs it where apt-get can. Asks for nothing.
set -eu
tag=$1
say() { printf '[base-image] %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

if ! command -v mmdebstrap >/dev/null 2>&1; then
    export DEBIAN_FRONTEND=noninteractive
    { timeout 200 apt-get update -qq && timeout 200 apt-get install -y -qq --no-install-recommends mmdebstrap; } \
        >/dev/null 2>&1 </dev/null || fail "no mmdebstrap here, and apt-get cannot install it."
fi
prefix=$("${PYTHON:-python3.11}" -c 'import sys; print(sys.base_prefix)') || fail "no Python 3.11 here; name one with PYTHON=…"
# Debian's own is spread over /usr: there is nothing to copy.
[ "$prefix" != /usr ] || fail "PYTHON is Debian's; name one that has a folder of its own, as pyenv's or uv's."
[ -x "$prefix/bin/python3.11" ] || fail "$prefix/bin/python3.11 is missing."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# What Python's own modules are linked with, and what the real image has besides.
libraries=libbz2-1.0,libcrypt1,libexpat1,libffi8,liblzma5,libncursesw6,libnsl2,libreadline8,libsqlite3-0,libssl3,libtirpc3,libuuid1,zlib1g
cat > "$work/python.sh" <<HOOK
set -eu
tar -C "$prefix" --exclude='lib/python3.11/site-packages/*' --exclude=__pycache__ --exclude='lib/python3.11/test' \
    --exclude='lib/python3.11/config-3.11*' --exclude='lib/python3.11/idlelib' --exclude='lib/python3.11/tkinter' \
    -cf - bin/python3.11 lib/python3.11 \$(cd "$prefix" && ls lib/libpython3*.so* 2>/dev/null) | tar -C "\$1/usr/local" --no-same-owner -xf -
ln -s python3.11 "\$1/usr/local/bin/python3"
ln -s python3.11 "\$1/usr/local/bin/python"
chroot "\$1" ldconfig
chroot "\$1" /usr/local/bin/python -m ensurepip --default-pip >/dev/null
HOOK
say "taking $("$prefix/bin/python3.11" --version) and Debian's packages"
timeout 600 mmdebstrap --quiet --variant=minbase --include="ca-certificates,netbase,tzdata,$libraries" \
    --customize-hook="sh '$work/python.sh' \"\$1\"" bookworm "$work/root.tar" </dev/null >&2 || fail "mmdebstrap failed, see above."
docker import --change 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin' --change 'CMD ["python3"]' \
    "$work/root.tar" "$tag" >/dev/null
say "made $tag"
