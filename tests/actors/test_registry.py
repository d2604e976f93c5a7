"""The registry as a plain class: snapshots, silence, and lifelines over real sockets."""

import asyncio
import pickle
from dataclasses import replace

import pytest

from actors import registry as registry_module
from actors.registry import GATEWAY_SILENCE_S, HEARTBEAT_S, SILENCE_S, ReplicaRegistry
from zoran_ray.errors import ModelLoadError
from zoran_ray.messages import FleetSnapshot, ModelInfo, ReplicaInfo, ReplicaLoad
from zoran_ray.models_file import ModelsFile, ModelSpec

MODEL = ModelInfo("local/m", ("m",), "g1", "app", "embedded")


class Engine:
    """What a replica shows the registry: a port that holds connections open."""

    def __init__(self):
        self.connections = []
        self.connected = asyncio.Event()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc):
        self.die()

    async def _accept(self, reader, writer):
        self.connections.append(writer)
        self.connected.set()

    def hang_up(self):
        """Close idle connections, as HTTP servers do."""
        self.connected.clear()
        for writer in self.connections:
            writer.close()

    def die(self):
        self._server.close()
        for writer in self.connections:
            writer.transport.abort()

    def info(self, replica_id="r1", **fields):
        return ReplicaInfo(
            replica_id, "local/m", "g1", f"http://127.0.0.1:{self.port}", "secret", 8, 64, ("generate",),
            **fields,
        )  # fmt: skip


@pytest.fixture
async def engine():
    async with Engine() as engine:
        yield engine


@pytest.fixture
def now():
    return [1000.0]


@pytest.fixture
def registry(now):
    return ReplicaRegistry(lambda: now[0])


async def change(registry, known):
    """The next snapshot after `known`."""
    fresh = await registry.watch(known.epoch, known.version, 10)
    assert fresh is not None
    return fresh


async def test_models_and_replicas_come_into_the_snapshot(registry, engine):
    await registry.put_models({MODEL.name: MODEL})
    await registry.heartbeat(engine.info())
    fleet = await registry.fleet()
    assert fleet.models == {MODEL.name: MODEL}
    assert fleet.replicas == (engine.info(),)
    assert fleet.gateways == 1


async def test_only_a_change_makes_a_new_version(registry, engine):
    for _ in range(3):
        await registry.put_models({MODEL.name: MODEL})
        await registry.heartbeat(engine.info())
    before = await registry.fleet()
    await registry.heartbeat(engine.info(load=ReplicaLoad(running=1)))
    await registry.heartbeat(engine.info(load=ReplicaLoad(running=1), state="draining"))
    after = await registry.fleet()
    assert (before.version, after.version) == (2, 4)
    assert after.replicas[0].state == "draining"
    # An earlier snapshot is a value: nothing changes it.
    assert before.replicas[0].load.running == 0


async def test_a_watcher_hears_of_a_change_at_once(registry, engine):
    known = await registry.fleet()
    watching = asyncio.create_task(registry.watch(known.epoch, known.version, 60))
    await asyncio.sleep(0)
    await registry.heartbeat(engine.info("a"))
    await registry.heartbeat(engine.info("b"))
    # Both: changes that come together are told together.
    assert len((await watching).replicas) == 2


async def test_a_watcher_who_knows_everything_gets_nothing(registry):
    known = await registry.fleet()
    assert await registry.watch(known.epoch, known.version, 0.01) is None


async def test_changes_that_come_together_are_told_together_and_pickled_once(registry, engine):
    known = await registry.fleet()
    watching = [asyncio.create_task(registry.watch(known.epoch, known.version, 10)) for _ in range(3)]
    await asyncio.sleep(0)
    for number in range(5):
        await registry.heartbeat(engine.info(f"r{number}"))
    pictures = await asyncio.gather(*watching)
    assert len(pictures[0].replicas) == 5
    assert all(picture is pictures[0] for picture in pictures)
    sent = [pickle.dumps(picture) for picture in pictures]
    assert pickle.loads(sent[0]) == pictures[0] == pickle.loads(pickle.dumps(pickle.loads(sent[1])))
    # Nothing is left out: who has seen the last version hears nothing, who has not gets it.
    assert pictures[0].version == (await registry.fleet()).version
    assert await registry.watch(known.epoch, pictures[0].version, 0.1) is None


async def test_a_large_fleet_is_told_of_less_often(registry, engine, monkeypatch):
    """Four times a second for 1,000 replicas; who comes new waits for nothing."""
    monkeypatch.setattr(registry_module, "_PACE_S_PER_REPLICA", 60.0)
    await registry.heartbeat(engine.info())
    known = await change(registry, FleetSnapshot())
    assert len(known.replicas) == 1
    await registry.heartbeat(engine.info("r2"))
    assert len((await change(registry, FleetSnapshot())).replicas) == 2
    assert await registry.watch(known.epoch, known.version, 0.1) is None


async def test_a_watcher_of_an_earlier_life_gets_everything(registry, engine):
    await registry.heartbeat(engine.info())
    other = await ReplicaRegistry().watch("earlier", 1, 60)
    assert other.epoch != (await registry.fleet()).epoch
    assert (await registry.watch("earlier", 1, 60)).replicas


async def test_a_replica_that_leaves_is_gone_and_its_lifeline_too(registry, engine):
    await registry.heartbeat(engine.info())
    await engine.connected.wait()
    await registry.leave("r1")
    await registry.leave("r1")
    assert not (await registry.fleet()).replicas
    assert not registry._lifelines


async def test_a_dead_process_is_noticed_by_its_socket(registry, engine):
    await registry.heartbeat(engine.info())
    await engine.connected.wait()
    known = await registry.fleet()
    engine.die()
    assert not (await change(registry, known)).replicas


async def test_a_port_that_never_answered_is_no_replica(registry, engine):
    engine.die()
    await registry.heartbeat(engine.info())
    assert not (await change(registry, await registry.fleet())).replicas


async def test_an_idle_connection_that_is_closed_is_no_death(registry, engine):
    await registry.heartbeat(engine.info())
    await engine.connected.wait()
    known = await registry.fleet()
    engine.hang_up()
    await engine.connected.wait()  # the registry looks whether somebody still listens
    assert await registry.watch(known.epoch, known.version, 0.01) is None
    engine.connected.clear()
    await registry.heartbeat(engine.info())
    await engine.connected.wait()  # the lifeline is back
    engine.die()
    assert not (await change(registry, known)).replicas


async def test_a_replica_that_falls_silent_is_forgotten(registry, engine, now):
    await registry.heartbeat(engine.info("silent"))
    now[0] += SILENCE_S - HEARTBEAT_S
    await registry.heartbeat(engine.info("alive"))
    now[0] += 2 * HEARTBEAT_S
    fleet = await change(registry, await registry.fleet())
    assert [r.replica_id for r in fleet.replicas] == ["alive"]
    await registry.heartbeat(engine.info("silent"))
    assert len((await registry.fleet()).replicas) == 2


async def test_gateways_are_counted_while_they_beat(registry, now):
    await registry.gateway_heartbeat("g1", "metrics 1")
    await registry.gateway_heartbeat("g2", "metrics 2")
    await registry.gateway_heartbeat("g1", "metrics 3")
    known = await registry.fleet()
    assert known.gateways == 2
    assert await registry.gateway_metrics() == {"g1": "metrics 3", "g2": "metrics 2"}
    now[0] += GATEWAY_SILENCE_S - 0.1
    await registry.gateway_heartbeat("g2", "")
    now[0] += 0.2
    assert (await change(registry, known)).gateways == 1
    assert list(await registry.gateway_metrics()) == ["g2"]


async def test_failures_are_remembered_by_generation(registry):
    error = ModelLoadError("too large")
    await registry.report_failure("local/m", "g1", error)
    assert await registry.failure("local/m", "g1") is error
    assert await registry.failure("local/m", "g2") is None


async def test_every_map_is_bounded(registry, engine, monkeypatch):
    for name in ("_MAX_REPLICAS", "_MAX_GATEWAYS", "_MAX_FAILURES"):
        monkeypatch.setattr(registry_module, name, 3)
    for i in range(9):
        await registry.heartbeat(engine.info(f"r{i}"))
        await registry.gateway_heartbeat(f"g{i}", "")
        await registry.report_failure("local/m", f"g{i}", ModelLoadError("no"))
    assert [r.replica_id for r in (await registry.fleet()).replicas] == ["r0", "r1", "r2"]
    assert list(await registry.gateway_metrics()) == ["g0", "g1", "g2"]
    assert [await registry.failure("local/m", f"g{i}") for i in range(6)] == [None] * 6
    assert len(registry._seen) == len(registry._lifelines) == 3
    await registry.heartbeat(replace(engine.info("r0"), state="draining"))
    assert (await registry.fleet()).replicas[0].state == "draining"


CATALOGUE = ModelsFile(models=(ModelSpec(name="m"),))


async def test_the_catalogue_is_told_once(registry):
    assert await registry.watch_catalogue("", 0, 0.01) is None
    for _ in range(3):
        await registry.put_catalogue(CATALOGUE.model_copy())
    known = await registry.watch_catalogue("", 0, 60)
    assert (known.version, known.file) == (1, CATALOGUE)
    assert known.epoch == (await registry.fleet()).epoch
    assert pickle.loads(pickle.dumps(known)) == known
    assert await registry.watch_catalogue(known.epoch, known.version, 0.01) is None


async def test_whoever_waits_hears_of_another_catalogue(registry):
    waiting = asyncio.create_task(registry.watch_catalogue("", 0, 60))
    await asyncio.sleep(0)
    await registry.put_catalogue(CATALOGUE)
    first = await waiting
    waiting = asyncio.create_task(registry.watch_catalogue(first.epoch, first.version, 60))
    await asyncio.sleep(0)
    dearer = ModelsFile(models=(ModelSpec(name="m", usd_per_million_input=1.0),))
    await registry.put_catalogue(dearer)
    assert ((await waiting).version, (await waiting).file) == (2, dearer)
    # An earlier life of the registry may have come as far.
    assert (await registry.watch_catalogue("earlier", 2, 60)).file == dearer


async def test_a_catalogue_is_no_news_of_the_fleet(registry):
    before = (await registry.fleet()).version
    await registry.put_catalogue(CATALOGUE)
    assert (await registry.fleet()).version == before
