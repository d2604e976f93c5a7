"""The process that keeps batches, beside gateways that are asked through a handle."""

import asyncio

import pytest

from actors.batch import BatchWorker
from tests.batch.conftest import CHAT, answered, rows, until
from zoran_ray.errors import InvalidRequest, RecordNotFound
from zoran_ray.messages import FleetSnapshot


class Response:
    """What a handle's call gives: to be awaited or cancelled."""

    def __init__(self, work):
        self._task = asyncio.ensure_future(work)
        self.was_cancelled = False

    def __await__(self):
        return asyncio.shield(self._task).__await__()

    def cancel(self):
        self.was_cancelled = True
        self._task.cancel()


class Gateways:
    """A Serve handle."""

    def __init__(self):
        self.asked, self.responses, self.steps = [], [], []
        self.hold = asyncio.Event()
        self.hold.set()

    @property
    def ask(self):
        return self

    def remote(self, *args):
        self.asked.append(args)
        self.responses.append(Response(self._answer()))
        return self.responses[-1]

    async def _answer(self):
        await self.hold.wait()
        if self.steps:
            raise self.steps.pop(0)
        return answered()


async def watch(known):
    await asyncio.sleep(0.01 if known.epoch else 0)
    return None if known.epoch else FleetSnapshot("e", 1)


@pytest.fixture
async def worker(tmp_path):
    (tmp_path / "state").mkdir(mode=0o700)
    made = BatchWorker(tmp_path / "state", 600.0, lambda: made.gateways, watch)
    made.gateways = Gateways()
    yield made
    await made.stop()


async def begin(worker, *names):
    file_id = await worker.ask("upload", "t")
    await worker.ask("add", file_id, rows(*names))
    await worker.ask("keep", file_id, "batch", "in")
    return await worker.ask("create", "t", "k", CHAT, file_id, "24h")


async def ended(worker, job):
    async def check():
        now = await worker.ask("batch", "t", job.id)
        return now if now.finished else None

    return await until(check)


async def test_lines_are_asked_in_the_name_of_the_key(worker):
    job = await ended(worker, await begin(worker, "a", "b"))
    assert (job.status, job.completed) == ("completed", 2)
    assert {(path, key_id) for path, _, key_id, _ in worker.gateways.asked} == {(CHAT, "k")}


async def test_no_gateway_for_a_moment(worker):
    worker.gateways.steps = [RuntimeError("prompt"), OSError("prompt")]
    job = await ended(worker, await begin(worker, "a"))
    assert (job.completed, len(worker.gateways.asked)) == (1, 3)


async def test_what_is_asked_stops_with_its_batch(worker):
    worker.gateways.hold.clear()
    job = await begin(worker, "a")

    async def asked():
        return worker.gateways.responses

    await until(asked)
    await worker.ask("cancel", "t", job.id)
    assert (await ended(worker, job)).status == "cancelled"
    assert [each.was_cancelled for each in worker.gateways.responses] == [True]


async def test_errors_come_plain_and_nothing_starts_before_it_is_needed(worker, tmp_path):
    await worker.resume()
    assert list((tmp_path / "state").iterdir()) == []
    with pytest.raises(RecordNotFound):
        await worker.ask("batch", "t", "batch_x")
    file_id = await worker.ask("upload", "t")
    await worker.ask("keep", file_id, "batch", "in")
    with pytest.raises(InvalidRequest):
        await worker.ask("create", "t", "k", "/v1/models", file_id, "24h")
    with pytest.raises(AssertionError):
        await worker.ask("stop")
