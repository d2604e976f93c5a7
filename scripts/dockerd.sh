#!/bin/sh
# Sees to it that a Docker daemon answers, for tests: the one that runs, or Debian's, installed and started here.
#   scripts/dockerd.sh FOLDER        FOLDER takes its data; no container has a network
#   scripts/dockerd.sh FOLDER net    the same with a bridge and published ports, as Compose wants them
#   scripts/dockerd.sh FOLDER stop   ends one that was started so, and removes FOLDER
# Exit status 1, and the reason on stderr, where none can run. Needs root to start one; asks for nothing.
set -eu
folder=$1
say() { printf '[docker] %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
answers() { docker version >/dev/null 2>&1; }

if [ "${2:-}" = stop ]; then
    if [ -s "$folder/pid" ]; then
        pid=$(cat "$folder/pid")
        kill "$pid" 2>/dev/null || true
        tries=0
        while kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 60 ]; do tries=$((tries + 1)); sleep 0.5; done
    fi
    if [ -s "$folder/forward" ]; then
        # dockerd leaves its rules, and drops what this machine forwards for others.
        iptables-save 2>/dev/null | grep -vi -e docker -e ' br-[0-9a-f]\{12\} ' | iptables-restore || true
        iptables --policy FORWARD "$(cat "$folder/forward")" || true
    fi
    # It leaves a network namespace mounted, too.
    umount "$folder"/exec/netns/* 2>/dev/null || true
    rm -rf "$folder" || true
    exit 0
fi
if answers; then say "a daemon answers already"; exit 0; fi
mkdir -p "$folder"
[ "$(id -u)" = 0 ] || fail "no daemon answers, and starting one needs root."
if ! command -v dockerd >/dev/null 2>&1; then
    command -v apt-get >/dev/null 2>&1 || fail "no dockerd here, and no apt-get to install it with."
    say "installing docker.io"
    export DEBIAN_FRONTEND=noninteractive
    { timeout 300 apt-get update -qq && timeout 300 apt-get install -y -qq --no-install-recommends docker.io; } >"$folder/apt.log" 2>&1 </dev/null \
        || fail "docker.io cannot be installed: $(tail -n 1 "$folder/apt.log")"
fi
network="--bridge=none --iptables=false --ip6tables=false"
if [ "${2:-}" = net ]; then
    network="--ip6tables=false"
    forward=$(iptables --list-rules FORWARD 2>/dev/null | sed -n 's/^-P FORWARD //p')
    [ -n "$forward" ] || fail "there is no iptables here, or it may not be used."
    printf '%s' "$forward" >"$folder/forward"
fi
for driver in overlay2 vfs; do
    dockerd --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/dockerd.pid" \
        $network --storage-driver "$driver" >"$folder/dockerd.log" 2>&1 </dev/null &
    pid=$!
    tries=0
    while [ "$tries" -lt 60 ] && kill -0 "$pid" 2>/dev/null; do
        if answers; then
            printf '%s' "$pid" >"$folder/pid"
            say "started dockerd with $driver"
            exit 0
        fi
        tries=$((tries + 1))
        sleep 0.5
    done
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
done
fail "dockerd does not start: $(tail -n 1 "$folder/dockerd.log")"
