"""Batches from upload to their files: states, faults, cancellation, expiry, restarts, owners."""

import asyncio
import contextlib

import pytest

from tests.batch.conftest import AT_ONCE, CHAT, Clock, answered, parsed, row, rows, until
from zoran_ray.batch import jobs as jobs_module
from zoran_ray.batch.job_book import JobBook
from zoran_ray.batch.office import BatchOffice
from zoran_ray.batch.runner import Places
from zoran_ray.errors import InvalidRequest, Overloaded, RecordNotFound, UpstreamError


class Model:
    """Answers what it is asked; holds what a test wants held."""

    def __init__(self):
        self.asked = []
        self.held = set()
        self.release = asyncio.Event()
        self.refuses = {}
        self.stopped = 0

    async def __call__(self, key_id, request, request_id):
        self.asked.append((key_id, request.custom_id, request_id))
        if request.custom_id in self.held:
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                self.stopped += 1
                raise
        if (step := self.refuses.get(request.custom_id)) is not None:
            if isinstance(step, Exception):
                raise step
            return step
        return answered(request.custom_id)


class Desk:
    """An office with what a test needs of it."""

    def __init__(self, folder, model):
        self.clock = Clock()
        self.model = model
        self.office = BatchOffice(folder, model, Places(8), self.clock, AT_ONCE)

    async def upload(self, content, owner="t", purpose="batch"):
        name = await self.office.upload(owner)
        await self.office.add(name, content)
        return (await self.office.keep(name, purpose, "in.jsonl")).id

    async def create(self, content, owner="t", window="24h"):
        file_id = await self.upload(content, owner)
        return await self.office.create(owner, f"key-{owner}", CHAT, file_id, window)

    async def in_state(self, job, *states):
        async def check():
            now = await self.office.batch(job.owner, job.id)
            return now if now.status in states else None

        return await until(check)

    async def entries(self, job):
        """Lines of the output, lines of the errors."""
        files = job.output_file_id, job.error_file_id
        return [
            parsed(await self.office.content(job.owner, each, 0, 1 << 22)) if each else [] for each in files
        ]


@pytest.fixture
async def make(tmp_path):
    async with contextlib.AsyncExitStack() as running:

        async def start(model=None):
            desk = Desk(tmp_path, model or Model())
            await desk.office.start()
            running.push_async_callback(desk.office.stop)
            return desk

        yield start


@pytest.fixture
async def desk(make):
    return await make()


async def test_from_upload_to_output(desk):
    job = await desk.create(rows(*(f"c{n}" for n in range(200))))
    assert (job.status, job.expires - job.created) == ("validating", 86400)
    done = await desk.in_state(job, "completed")
    assert (done.total, done.completed, done.failed, done.model) == (200, 200, 0, "m")
    assert (done.prompt_tokens, done.completion_tokens, done.cached_tokens) == (600, 400, 200)
    assert done.error_file_id == ""
    good, bad = await desk.entries(done)
    assert bad == []
    assert {each["custom_id"]: each["response"]["body"]["said"] for each in good} == {
        f"c{n}": f"c{n}" for n in range(200)
    }
    assert len({each["id"] for each in good}) == 200
    assert {key for key, *_ in desk.model.asked} == {"key-t"}
    assert f"{job.id}-1" in {request_id for *_, request_id in desk.model.asked}
    info = await desk.office.file("t", done.output_file_id)
    assert (info.purpose, info.filename) == ("batch_output", f"{job.id}_output.jsonl")


async def test_faulty_lines_are_told_and_the_others_run(desk):
    desk.model.refuses = {"b": answered(status=400), "c": UpstreamError("gone")}
    job = await desk.create(rows("a") + b"{\n" + rows("b", "a", "c"))
    done = await desk.in_state(job, "completed")
    assert (done.total, done.completed, done.failed) == (5, 1, 4)
    assert [(fault.line, fault.code) for fault in done.faults] == [
        (2, "invalid_json"),
        (4, "duplicate_custom_id"),
    ]
    good, bad = await desk.entries(done)
    assert [each["custom_id"] for each in good] == ["a"]
    told = {each["id"].rpartition("_")[2]: each for each in bad}
    assert sorted(told) == ["2", "3", "4", "5"]
    assert told["2"]["error"]["code"] == "invalid_json"
    assert told["3"]["response"]["status_code"] == 400
    assert told["5"]["error"] == {"code": "upstream_error", "message": "gone"}


@pytest.mark.parametrize("content", [b"", b"\n\n", b"{\n[]\n", row("a", stream=True)])
async def test_a_file_without_a_request_fails(desk, content):
    done = await desk.in_state(await desk.create(content), "failed")
    assert done.faults
    assert desk.model.asked == []


async def test_cancelling_stops_at_once_and_keeps_what_came(desk):
    desk.model.held = {"b", "c"}
    job = await desk.create(rows("a", "b", "c"))

    async def first_done():
        return (await desk.office.batch("t", job.id)).completed == 1

    await until(first_done)
    assert (await desk.office.cancel("t", job.id)).status == "cancelling"
    done = await desk.in_state(job, "cancelled")
    good, bad = await desk.entries(done)
    assert [each["custom_id"] for each in good] == ["a"]
    assert [(each["custom_id"], each["error"]["code"]) for each in bad] == [
        ("b", "batch_cancelled"),
        ("c", "batch_cancelled"),
    ]
    assert (desk.model.stopped, done.completed, done.failed) == (2, 1, 2)
    with pytest.raises(InvalidRequest, match="cancelled already"):
        await desk.office.cancel("t", job.id)


async def test_the_window_ends_it(desk):
    desk.model.held = {"slow", "b"}
    slow = await desk.create(rows("slow"))
    job = await desk.create(rows("a", "b"), window="1m")
    desk.clock.now += 59.9
    await desk.office.cancel("t", slow.id)
    done = await desk.in_state(job, "expired")
    good, bad = await desk.entries(done)
    # A tenth of a second is left; how far that goes is this machine's affair.
    assert sorted(each["custom_id"] for each in good + bad) == ["a", "b"]
    assert {each["custom_id"]: each["error"]["code"] for each in bad}["b"] == "batch_expired"
    asked = {custom_id for _, custom_id, _ in desk.model.asked}
    assert (done.expired_at, desk.model.stopped) == (int(desk.clock.now), len(asked & {"slow", "b"}))


async def test_what_expired_while_nobody_worked(tmp_path):
    model = Model()
    model.held = {"b"}
    first = Desk(tmp_path, model)
    await first.office.start()
    job = await first.create(rows("a", "b"), window="1m")

    async def first_done():
        return (await first.office.batch("t", job.id)).completed == 1

    await until(first_done)
    await first.office.stop()
    second = Desk(tmp_path, Model())
    second.clock.now += 61
    await second.office.start()
    done = await second.in_state(job, "expired")
    good, bad = await second.entries(done)
    assert [each["custom_id"] for each in good] == ["a"]
    assert [(each["custom_id"], each["error"]["code"]) for each in bad] == [("b", "batch_expired")]
    assert second.model.asked == []
    await second.office.stop()


async def test_a_restart_takes_up_where_it_was(tmp_path):
    model = Model()
    names = [f"c{n}" for n in range(30)]
    model.held = set(names[10:])
    first = Desk(tmp_path, model)
    await first.office.start()
    job = await first.create(rows(*names))

    async def some_done():
        return (await first.office.batch("t", job.id)).completed == 10

    await until(some_done)
    await first.office.stop()
    second = Desk(tmp_path, Model())
    await second.office.start()
    done = await second.in_state(job, "completed")
    good, _ = await second.entries(done)
    assert sorted(each["custom_id"] for each in good) == sorted(names)
    assert {custom_id for _, custom_id, _ in second.model.asked} == set(names[10:])
    await second.office.stop()


async def test_owners_see_their_own_and_wait_for_nobody_elses(desk):
    desk.model.held = {"slow"}
    slow = await desk.create(rows("slow"), owner="t")
    waits = await desk.create(rows("next"), owner="t")
    other = await desk.create(rows("x"), owner="u")
    await desk.in_state(other, "completed")
    assert (await desk.office.batch("t", waits.id)).status == "validating"
    with pytest.raises(RecordNotFound):
        await desk.office.batch("u", slow.id)
    with pytest.raises(RecordNotFound):
        await desk.office.cancel("u", slow.id)
    assert [job.id for job in (await desk.office.batches("t", None, 10))[0]] == [waits.id, slow.id]
    assert (await desk.office.batches("t", waits.id, 1))[0][0].id == slow.id
    # One that waits is cancelled without waiting for its turn.
    await desk.office.cancel("t", waits.id)
    await desk.in_state(waits, "cancelled")
    desk.model.release.set()
    await desk.in_state(slow, "completed")


async def test_what_is_refused(desk, monkeypatch):
    mine, others = await desk.upload(rows("a")), await desk.upload(rows("a"), "u")
    vision = await desk.upload(rows("a"), purpose="vision")
    for endpoint, file_id, window, kind in [
        ("/v1/files", mine, "24h", InvalidRequest),
        (CHAT, others, "24h", RecordNotFound),
        (CHAT, vision, "24h", InvalidRequest),
        *((CHAT, mine, window, InvalidRequest) for window in ("", "h", "8d", "0h", "-1h", "١h", "24")),
    ]:
        with pytest.raises(kind):
            await desk.office.create("t", "k", endpoint, file_id, window)
    monkeypatch.setattr(jobs_module, "MAX_UNFINISHED", 1)
    desk.model.held = {"a"}
    await desk.office.create("t", "k", CHAT, mine, "24h")
    with pytest.raises(Overloaded):
        await desk.office.create("t", "k", CHAT, mine, "24h")


async def test_nothing_is_on_the_disk_before_the_first_file(desk, tmp_path):
    assert (await desk.office.files("t", None, None, 10, "desc")) == ((), False)
    assert (await desk.office.batches("t", None, 10)) == ((), False)
    with pytest.raises(RecordNotFound):
        await desk.office.batch("t", "batch_x")
    assert list(tmp_path.iterdir()) == []


def test_finishing_twice_gives_the_same(jobs, db, files):
    kept = files.write("t", "batch", "in", [rows("a")])
    job = jobs.create("t", "k", endpoint=CHAT, input_file_id=kept.id, window="24h")
    one = jobs.ending(job.id, "completed", "file-" + "1" * 24, "file-" + "2" * 24)
    two = jobs.ending(job.id, "expired", "file-" + "3" * 24, "file-" + "4" * 24)
    assert (one.ending, two) == ("completed", one)
    jobs.finish(one, output=True, errors=False)
    assert (jobs.now(job.id).status, jobs.now(job.id).error_file_id) == ("completed", "")
    assert list(JobBook(db, job.id).entries(good=True)) == []
