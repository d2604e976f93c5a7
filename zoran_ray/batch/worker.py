"""Works through batches, oldest first: one at a time for each owner, so nobody waits for all of another's.

What it finds half done it takes up where it was: states, lines and answers are in the database.
"""

import asyncio
import logging
import math
import os
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import BinaryIO

from zoran_ray.batch.files import Files, new_file_id
from zoran_ray.batch.job import Ending, Job, LineFault
from zoran_ray.batch.job_book import JobBook, groups
from zoran_ray.batch.jobs import Jobs
from zoran_ray.batch.lines import Line, Request, parse_line, read_lines
from zoran_ray.batch.outcome import Failed, Outcome
from zoran_ray.batch.runner import Patience, Room, Runner
from zoran_ray.batch.threads import in_thread
from zoran_ray.errors import RecordNotFound, ZoranError

log = logging.getLogger("zoran.batch")

MOST_RUNNING = 8
"""Batches that run at a time, each of another owner."""
REST_S = 30.0
"""How long a batch is left alone whose files could not be used."""
_LOOK_S = 1.0
_IDLE_S = 3600.0

AskAs = Callable[[str, Request, str], Awaitable[Outcome]]
"""Asks for one request in the name of a key: key id, request, request id. Raises: ZoranError."""

_LEFT_OVER: dict[Ending, Failed] = {
    "completed": Failed("not_asked", "This request was not asked."),
    "expired": Failed(
        "batch_expired",
        "This request could not be executed before the completion window expired.",
    ),
    "cancelled": Failed("batch_cancelled", "This request was not executed before the batch was cancelled."),
}


class Worker:
    """Runs batches until it is cancelled.

    Args:
        jobs: All batches.
        files: All files.
        ask: Asks for one request.
        room: How many at a time, over all batches.
        clock: Unix time in seconds.
        patience: How often a request is tried.
    """

    def __init__(
        self,
        jobs: Jobs,
        files: Files,
        ask: AskAs,
        room: Room,
        clock: Callable[[], float],
        patience: Patience | None = None,
    ) -> None:
        self._jobs = jobs
        self._files = files
        self._ask = ask
        self._room = room
        self._clock = clock
        self._patience = patience
        self._working: dict[str, tuple[str, asyncio.Task[None]]] = {}
        self._asking: dict[str, asyncio.Task[bool]] = {}
        self._rests: dict[str, float] = {}
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There is a new batch."""
        self._woken.set()

    def stop_asking(self, batch_id: str) -> None:
        """A batch was cancelled: nothing more of it is asked."""
        if task := self._asking.get(batch_id):
            task.cancel()
        self.wake()

    async def run(self) -> None:
        """Works until it is cancelled; then what runs is stopped and stays to be taken up."""
        try:
            while True:
                self._woken.clear()
                unfinished = await self._looked()
                self._begin(unfinished)
                await self._pause(_LOOK_S if unfinished else _IDLE_S)
        finally:
            tasks = [task for _, task in self._working.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _looked(self) -> Sequence[Job]:
        try:
            return await in_thread(self._jobs.unfinished)
        except ZoranError as error:
            log.error("batches cannot be read: %s", error)
            await self._pause(REST_S)
            return ()

    async def _pause(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._woken.wait()
        except TimeoutError:
            return

    def _begin(self, unfinished: Sequence[Job]) -> None:
        owners = {owner for owner, _ in self._working.values()}
        for job in unfinished:
            if job.id in self._working or self._rests.get(job.id, -math.inf) > self._clock():
                continue
            # What only has to be brought to its end waits for nobody.
            at_once = job.status == "cancelling" or job.expires <= self._clock()
            if at_once or (job.owner not in owners and len(self._working) < MOST_RUNNING):
                task = asyncio.create_task(self._work(job))
                self._working[job.id] = (job.owner, task)
                owners.add(job.owner)

    async def _work(self, job: Job) -> None:
        """One batch, from where it is to its end."""
        try:
            if job.ending is None and (ending := await self._through(job)):
                job = await in_thread(self._jobs.ending, job.id, ending, new_file_id(), new_file_id())
            if job.ending is not None:
                await self._write(job, job.ending)
            self._rests.pop(job.id, None)
        except RecordNotFound:
            fault = LineFault("file_not_found", 0, "The input file is gone.")
            await in_thread(self._jobs.failed, job.id, fault)
        except Exception as error:
            # The text of an error that is not ours may hold a prompt.
            told = str(error) if isinstance(error, ZoranError) else type(error).__name__
            log.error("%s is left alone for %g s: %s", job.id, REST_S, told)
            self._rests[job.id] = self._clock() + REST_S
        finally:
            self._working.pop(job.id, None)
            self._woken.set()

    async def _through(self, job: Job) -> Ending | None:
        """Ask its lines as long as it may. Returns: How it ends; None where nothing of it can be asked."""
        if job.status == "cancelling":
            return "cancelled"
        task = asyncio.create_task(self._asked(job))
        self._asking[job.id] = task
        try:
            await asyncio.wait({task}, timeout=max(0.0, job.expires - self._clock()))
            over = not task.done()
        finally:
            del self._asking[job.id]
            task.cancel()
            await asyncio.wait({task})
        if task.cancelled():
            return "expired" if over else "cancelled"
        return "completed" if task.result() else None

    async def _asked(self, job: Job) -> bool:
        """Ask all lines. Returns: Whether there were any."""
        await in_thread(self._files.get, job.owner, job.input_file_id)
        # Not in a thread: a cancellation would leave it open.
        with self._files.content(job.input_file_id) as file:
            book = JobBook(self._jobs.db, job.id)
            if job.status == "validating" and not await self._read(job, book, file):
                return False
            await in_thread(book.take_up)
            ask = partial(self._ask_line, job, file)
            await Runner(book, ask, self._room, patience=self._patience).run()
        return True

    async def _read(self, job: Job, book: JobBook, file: BinaryIO) -> bool:
        """Read the input file. Returns: Whether there is something to ask."""
        await in_thread(book.clear)
        found = groups(read_lines(file, endpoint=job.endpoint))
        while group := await in_thread(next, found, None):
            await in_thread(book.add, group)
        read = await in_thread(self._jobs.now, job.id)
        if read.total == read.failed:
            fault = LineFault("empty_file", 0, "The input file has no line that can be asked.")
            await in_thread(self._jobs.failed, job.id, fault)
            return False
        await in_thread(self._jobs.started, job.id)
        return True

    async def _ask_line(self, job: Job, file: BinaryIO, line: Line) -> Outcome:
        raw = os.pread(file.fileno(), line.size, line.at)
        request = parse_line(raw, line.number, endpoint=job.endpoint)
        return await self._ask(job.key_id, request, f"{job.id}-{line.number}")

    async def _write(self, job: Job, ending: Ending) -> None:
        """Write its files. Whatever of it was done before is done again, with the same result."""
        book = JobBook(self._jobs.db, job.id)
        while await in_thread(book.give_up, _LEFT_OVER[ending]):
            pass
        output = await in_thread(self._write_one, job, book, True)
        errors = await in_thread(self._write_one, job, book, False)
        await in_thread(self._jobs.finish, job, output=output, errors=errors)

    def _write_one(self, job: Job, book: JobBook, good: bool) -> bool:
        entries = book.entries(good=good)
        first = next(entries, None)
        if first is None:
            return False
        name = f"{job.id}_{'output' if good else 'error'}.jsonl"
        file_id = job.output_file_id if good else job.error_file_id
        content = (each for part in ((first,), entries) for each in part)
        self._files.write(job.owner, "batch_output", name, content, file_id=file_id)
        return True
