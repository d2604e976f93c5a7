"""`kill -9` of each part under light load: nobody waits in vain, and the service mends itself."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.integration.stack import Stack, title_of, until
from tests.integration.traffic import Traffic, traffic
from zoran_ray.errors import ZoranError

pytestmark = [pytest.mark.integration, pytest.mark.engine, pytest.mark.faults]

SETTLED_S = 15
"""By then a restarted Serve controller has looked at everything."""
CLEAN = {"answered", "refused 429", "refused 502", "refused 503", "refused 504"}


def replica(stack: Stack) -> psutil.Process:
    return psutil.Process(stack.replicas()[0]["pids"][0])


def part_of_replica(title: str) -> Callable[[Stack], psutil.Process]:
    def find(stack: Stack) -> psutil.Process:
        return next(p for p in replica(stack).children(recursive=True) if title in title_of(p))

    return find


def named(title: str) -> Callable[[Stack], psutil.Process]:
    return lambda stack: stack.process(title)


@contextmanager
def busy(stack: Stack) -> Iterator[Traffic]:
    with traffic(f"{stack.base_url}/v1") as load:
        until("requests are answered", lambda: load.answered >= 10)
        yield load


def mended(stack: Stack, load: Traffic) -> float:
    """Seconds until the server says it is ready and has answered again."""
    seconds = until("the server is ready again", stack.ready)
    before = load.answered
    return seconds + until("requests are answered again", lambda: load.answered >= before + 10)


@pytest.mark.parametrize(
    "title", ["ReplicaRegistry", "AccessAuthority", "ray::ServeController", "ray::HAProxyManager"]
)
def test_control_plane_killed(stack: Stack, title: str) -> None:
    before = {r["replica_id"] for r in stack.replicas()}
    with busy(stack) as load:
        process = stack.process(title)
        process.kill()
        seconds = mended(stack, load)
        seconds += until("its replicas are known", lambda: bool(known_replicas(stack)))
        time.sleep(SETTLED_S)
        assert {r["replica_id"] for r in known_replicas(stack)} == before, "no engine had to go for it"
    told(title, seconds, load)
    unreachable = {"unreachable", "cut"} if "HAProxy" in title else set()
    assert set(load.whole) <= CLEAN | unreachable
    assert set(load.streams) <= CLEAN | {"ended with an error event"} | unreachable


@pytest.mark.parametrize("title", ["ServeReplica:gateway", "bin/haproxy"])
def test_way_to_the_replica_killed(stack: Stack, title: str) -> None:
    """Whoever is connected through the dead process is cut off; nobody else is."""
    with busy(stack) as load:
        stack.process(title).kill()
        seconds = mended(stack, load)
    told(title, seconds, load)
    assert set(load.whole) <= CLEAN | {"unreachable", "cut"}
    assert load.whole["cut"] + load.streams["cut"] <= 5, "no more than were running"
    assert set(load.streams) <= CLEAN | {"ended with an error event", "unreachable", "cut"}


def test_new_settings_cut_no_stream(stack: Stack) -> None:
    """`models load` with other engine arguments while streams run: the old replica drains."""
    before = stack.replicas()[0]["replica_id"]
    with traffic(f"{stack.base_url}/v1", askers=2, listeners=4) as load:
        until("requests are answered", lambda: load.answered >= 10)
        done = stack.zoran("models", "load", "pocket", "--engine-arg=max_num_seqs=24", timeout_s=400)
        assert done.returncode == 0, done.stderr
        until("the old replica has gone", lambda: before not in [r["replica_id"] for r in stack.replicas()])
        after = load.answered
        until("late arrivals are answered", lambda: load.answered >= after + 10)
    told("reload", 0.0, load)
    assert set(load.whole) == {"answered"}
    assert set(load.streams) == {"answered"}
    assert [r["capacity"] for r in stack.replicas()] == [24]


@pytest.mark.parametrize(
    "victim",
    [
        pytest.param(replica, id="replica"),
        pytest.param(part_of_replica("EngineCore"), id="engine core"),
    ],
)
def test_replica_killed(stack: Stack, victim: Callable[[Stack], psutil.Process]) -> None:
    before = stack.replicas()[0]
    with busy(stack) as load:
        shared = stack.note_shared_memory()
        process = victim(stack)
        name = title_of(process)
        process.kill()
        left = until("the replica has gone", lambda: not any(map(alive, before["pids"])))
        seconds = mended(stack, load)
    told(name, seconds, load, f"its processes gone after {left:.1f} s")
    assert before["replica_id"] not in [r["replica_id"] for r in stack.replicas()]
    assert set(load.whole) <= CLEAN
    assert set(load.streams) <= CLEAN | {"ended with an error event"}
    still_used = _mapped(stack)
    assert not [n for n in shared - still_used if n.startswith(("psm_", "sem.")) and _exists(n)]


def alive(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


def known_replicas(stack: Stack) -> list[dict[str, Any]]:
    """None while the registry itself is away."""
    try:
        return stack.replicas()
    except ZoranError:
        return []


def told(name: str, seconds: float, load: Traffic, more: str = "") -> None:
    print(f"\n{name}: whole again after {seconds:.1f} s. {more}")
    print(f"  requests {dict(load.whole)}, streams {dict(load.streams)}")


def _mapped(stack: Stack) -> set[str]:
    names = set()
    for process in stack.processes():
        try:
            maps = Path(f"/proc/{process.pid}/maps").read_text().splitlines()
        except OSError:
            continue
        names |= {line.rsplit("/", 1)[1] for line in maps if "/dev/shm/" in line}
    return names


def _exists(name: str) -> bool:
    return Path("/dev/shm", name).exists()
