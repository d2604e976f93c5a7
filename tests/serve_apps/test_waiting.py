"""Room for requests: places at once, and the queue while a model has no replica."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from serve_apps.gateway import waiting as waiting_module
from serve_apps.gateway.waiting import Admission, WaitingRoom
from zoran_ray.engines.fleet import Fleet
from zoran_ray.errors import ModelNotFound, NoReplica, Overloaded
from zoran_ray.messages import FleetSnapshot, ModelInfo, ReplicaInfo
from zoran_ray.telemetry import GatewayMetrics

MODEL = "local/m"


def model(**fields):
    return ModelInfo(MODEL, (), **{"generation": "g1", "app": "app-1", "source": "embedded", **fields})


class Room:
    """A waiting room, its fleet, and who was woken."""

    def __init__(self):
        self.fleet, self.woken = Fleet(), []
        self.waking = asyncio.Event()
        self.waiting = WaitingRoom(self.fleet, self._wake, GatewayMetrics(CollectorRegistry()))

    async def _wake(self, model):
        self.woken.append(model.app)
        self.waking.set()

    def update(self, info, *replicas):
        models = {info.name: info} if info else {}
        found = tuple(
            ReplicaInfo(name, MODEL, info.generation, "http://x", "s", 8, 64, ("generate",))
            for name in replicas
        )
        self.fleet.update(FleetSnapshot("e", 1, models=models, replicas=found))
        self.waiting.notify()

    def ask(self, info, **fields):
        return asyncio.create_task(self.waiting.replica(info, **fields))


@pytest.fixture
async def room():
    return Room()


def test_a_full_gateway_refuses():
    admission = Admission(2)
    with admission.one(), admission.one():
        with pytest.raises(Overloaded) as full, admission.one():
            pass
        assert full.value.retry_after_s == 1.0
    assert admission.held == 0
    with pytest.raises(ValueError), admission.one():
        raise ValueError
    assert admission.held == 0


async def test_where_a_replica_is_nobody_waits(room):
    info = model(queue_limit=0)
    room.update(info, "a")
    assert (await room.waiting.replica(info)).replica_id == "a"
    assert not room.woken


async def test_the_first_replica_serves_all_who_wait(room):
    info = model()
    room.update(info)
    asked = [room.ask(info) for _ in range(5)]
    await room.waking.wait()
    assert room.waiting.waiting() == 5
    room.update(info, "a")
    assert {(await task).replica_id for task in asked} == {"a"}
    assert room.waiting.waiting() == 0
    assert room.woken == ["app-1"]


async def test_past_the_limit_one_is_refused_at_once(room):
    info = model(queue_limit=2)
    room.update(info)
    asked = [room.ask(info) for _ in range(2)]
    await room.waking.wait()
    with pytest.raises(Overloaded, match="2 requests already wait") as full:
        await room.waiting.replica(info)
    assert full.value.retry_after_s == 5.0
    room.update(info, "a")
    await asyncio.gather(*asked)
    assert (await room.waiting.replica(info)).replica_id == "a"


async def test_waiting_has_an_end(room):
    info = model(queue_timeout_s=0.02)
    room.update(info)
    with pytest.raises(NoReplica, match="No replica of 'local/m'") as nobody:
        await room.waiting.replica(info)
    assert nobody.value.retry_after_s == 10.0
    assert room.waiting.waiting() == 0


async def test_a_replica_that_was_tried_gives_way_to_another(room):
    info = model()
    room.update(info, "a")
    room.fleet.suspect("a")
    asking = room.ask(info, tried={"a"})
    await room.waking.wait()
    room.update(info, "a", "b")
    assert (await asking).replica_id == "b"


async def test_the_only_replica_gets_another_chance_after_a_moment(room):
    info = model()
    now = 0.0
    room.fleet.clock = lambda: now
    room.update(info, "a")
    room.fleet.suspect("a")
    asking = room.ask(info, tried={"a"})
    await room.waking.wait()
    now = 10.0
    assert (await asking).replica_id == "a"


async def test_other_changes_let_one_wait_on(room):
    info = model()
    room.update(info)
    asking = room.ask(info)
    await room.waking.wait()
    for _ in range(3):
        room.update(info)
        await asyncio.sleep(0)
    assert not asking.done()
    room.update(info, "a")
    await asking


async def test_a_model_that_is_unloaded_meanwhile(room):
    info = model()
    room.update(info)
    asking = room.ask(info)
    await room.waking.wait()
    room.update(None)
    with pytest.raises(ModelNotFound):
        await asking
    assert room.waiting.waiting() == 0


async def test_waking_goes_on_while_somebody_waits_and_follows_the_generation(room, monkeypatch):
    monkeypatch.setattr(waiting_module, "_WAKE_EVERY_S", 0.001)
    info = model()
    room.update(info)
    asking = room.ask(info)
    while len(room.woken) < 3:
        await asyncio.sleep(0.001)
    # A change of settings: the application that would have started the replica is gone.
    newer = model(generation="g2", app="app-2")
    room.update(newer)
    while "app-2" not in room.woken:
        await asyncio.sleep(0.001)
    room.update(newer, "a")
    await asking
    woken = len(room.woken)
    await asyncio.sleep(0.01)
    assert len(room.woken) == woken


async def test_a_wake_that_fails_is_tried_again(room, monkeypatch):
    monkeypatch.setattr(waiting_module, "_WAKE_EVERY_S", 0.001)
    calls = []

    async def broken(model):
        calls.append(model)
        raise ConnectionError

    room.waiting = WaitingRoom(room.fleet, broken, GatewayMetrics(CollectorRegistry()))
    info = model()
    room.update(info)
    asking = room.ask(info)
    while len(calls) < 3:
        await asyncio.sleep(0.001)
    room.update(info, "a")
    await asking


async def test_whoever_leaves_frees_a_place_and_the_last_one_stops_the_waking(room):
    info = model(queue_limit=1)
    room.update(info)
    for _ in range(3):
        asking = room.ask(info)
        await room.waking.wait()
        room.waking.clear()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert room.waiting.waiting() == 0
        assert not room.waiting._wakers


# -- the same through the gateway -----------------------------------------------------------


async def test_a_full_queue_is_a_503_and_the_one_who_waits_is_served(stack):
    stack.publish(queue_limit=1)
    first = asyncio.create_task(stack.chat())
    while not stack.waiting.waiting():
        await asyncio.sleep(0)
    assert stack.counted("zoran_queue_waiting", model="local/m") == 1
    answer = await stack.chat()
    assert (answer.status, answer.code) == (503, "overloaded")
    assert answer.headers["retry-after"] == "5"
    replica = await stack.replica("late")
    replica.will(replica.whole({"ok": 1}))
    assert (await first).json == {"ok": 1}
    assert stack.counted("zoran_queue_waiting", model="local/m") == 0
    assert stack.woken == ["app"]


async def test_nobody_comes(stack):
    stack.publish(queue_timeout_s=0.02)
    answer = await stack.chat()
    assert (answer.status, answer.code) == (503, "no_replica")
    assert answer.headers["retry-after"] == "10"
