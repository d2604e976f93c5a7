"""One text for all gateways and engines, from real scrapes; the registry is played."""

import pytest

from serve_apps.gateway import exposition as exposition_module
from serve_apps.gateway.exposition import Exposition
from tests.serve_apps.fake_replica import FakeReplica
from zoran_ray.engines.fleet import Fleet
from zoran_ray.messages import FleetSnapshot, ReplicaInfo

OWN = "# TYPE zoran_x counter\nzoran_x 1\n"


@pytest.fixture
async def replicas():
    running = [await FakeReplica(name).start() for name in ("r1", "r2")]
    yield running
    for replica in running:
        await replica.stop()


@pytest.fixture
def exposition(replicas):
    infos = tuple(
        ReplicaInfo(r.replica_id, "local/m", "g1", f"http://127.0.0.1:{r.port}", "s3cret", 8, 64, ())
        for r in replicas
    )
    fleet = Fleet()
    fleet.update(FleetSnapshot(replicas=infos))
    return Exposition("gw-1", fleet, lambda: OWN)


@pytest.fixture
def actors():
    """What actors tell, by their names; nothing where there is none."""
    return {}


@pytest.fixture(autouse=True)
def registry(monkeypatch, actors):
    """What the registry answers; an exception is raised. The Resonator is away, and so is a node of two."""
    answer = {"gw-1": "stale 0\n", "gw-2": OWN}

    async def call(actor, method, *, timeout_s):
        if method == "metrics":
            return actors.get(actor, "")
        if (actor, method) == ("resonator", "state"):
            raise ConnectionError
        assert (actor, method) == ("registry", "gateway_metrics")
        if "error" in answer:
            raise answer["error"]
        return answer

    async def serve_parts(session):
        return [({"ray_node": "head"}, "ray_serve_proxy_status 1\n"), ({"ray_node": "away"}, None)]

    monkeypatch.setattr(exposition_module, "call", call)
    monkeypatch.setattr(exposition_module, "serve_parts", serve_parts)
    return answer


async def test_all_gateways_and_engines_are_in_it(exposition, replicas):
    for number, replica in enumerate(replicas):
        replica.will(replica.whole(b"vllm:num_requests_running %d\n" % number, kind="text/plain"))
    lines = (await exposition.text()).splitlines()
    assert 'zoran_x{gateway="gw-1"} 1' in lines
    assert 'zoran_x{gateway="gw-2"} 1' in lines
    assert 'vllm:num_requests_running{replica="r1",model="local/m"} 0' in lines
    assert 'vllm:num_requests_running{replica="r2",model="local/m"} 1' in lines
    assert not any("stale" in line for line in lines)
    assert replicas[0].requests[0].path == "/metrics"
    assert replicas[0].requests[0].headers["x-zoran-replica-secret"] == "s3cret"


async def test_what_actors_and_serve_tell_is_in_it(exposition, replicas, actors):
    for replica in replicas:
        replica.will(replica.whole(b"", kind="text/plain"))
    assert "zoran_tasks" not in await exposition.text()  # before the first task
    actors["autopilot"] = 'zoran_tasks{state="failed",mode="operator"} 3\n'
    text = await exposition.text()
    assert 'zoran_tasks{state="failed",mode="operator",actor="autopilot"} 3' in text
    assert 'zoran_exposition_part_up{actor="autopilot"} 1' in text
    assert 'ray_serve_proxy_status{ray_node="head"} 1' in text


async def test_of_what_is_silent_it_says_so(exposition, replicas):
    await replicas[1].stop()
    replicas[0].will(replicas[0].whole(b"vllm:x 1\n", kind="text/plain"))
    lines = (await exposition.text()).splitlines()
    assert 'zoran_exposition_part_up{replica="r1",model="local/m"} 1' in lines
    assert 'zoran_exposition_part_up{replica="r2",model="local/m"} 0' in lines
    assert 'zoran_exposition_part_up{actor="registry"} 1' in lines
    assert 'zoran_exposition_part_up{actor="resonator"} 0' in lines
    assert 'zoran_exposition_part_up{actor="journal"} 1' in lines
    assert 'zoran_exposition_part_up{ray_node="away"} 0' in lines


async def test_a_server_that_counts_nothing_is_not_silent(exposition, replicas):
    replicas[0].will(replicas[0].whole(b"not here", 404, "text/plain"))
    replicas[1].will(replicas[1].whole(b"broken", 500, "text/plain"))
    lines = (await exposition.text()).splitlines()
    assert 'zoran_exposition_part_up{replica="r1",model="local/m"} 1' in lines
    assert 'zoran_exposition_part_up{replica="r2",model="local/m"} 0' in lines


async def test_what_does_not_answer_is_left_out(exposition, replicas, registry, monkeypatch):
    monkeypatch.setattr(exposition_module, "_SCRAPE_S", 0.05)
    registry["error"] = ConnectionError()
    replicas[0].will(replicas[0].hold())
    await replicas[1].stop()
    text = await exposition.text()
    assert 'zoran_x{gateway="gw-1"} 1' in text
    assert "gw-2" not in text
    assert 'zoran_exposition_part_up{actor="registry"} 0' in text
    assert "vllm" not in text


@pytest.mark.parametrize("status", [200, 404, 500])
async def test_nonsense_spoils_nothing(exposition, replicas, status):
    for replica in replicas:
        replica.will(replica.whole(b"\xff\xfe{{{ s3cret", status, "text/plain; charset=utf-8"))
    text = await exposition.text()
    assert 'zoran_x{gateway="gw-1"} 1' in text
    assert "s3cret" not in text
