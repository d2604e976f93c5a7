"""The Batch API without HTTP: files and batches of owners, and the worker that asks. One process has it.

Nothing is on the disk before the first file comes.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

from zoran_ray.batch.database import DATABASE, batch_database
from zoran_ray.batch.files import Files, Order
from zoran_ray.batch.job import FileInfo, Job, Status
from zoran_ray.batch.jobs import Jobs
from zoran_ray.batch.lines import SERVED
from zoran_ray.batch.runner import Patience, Room
from zoran_ray.batch.threads import in_thread
from zoran_ray.batch.uploads import Uploads
from zoran_ray.batch.worker import AskAs, Worker
from zoran_ray.errors import InvalidRequest, StorageFull, ZoranError

log = logging.getLogger("zoran.batch")

FOLDER = "batch"
MAX_PIECE_BYTES = 4 * 1024 * 1024

_SWEEP_S = 3600.0

P = ParamSpec("P")
T = TypeVar("T")


class BatchOffice:
    """Every method raises `ConfigError` where the database is damaged, `Unavailable` where it is busy.

    Args:
        state_dir: Folder of everything durable.
        ask: Asks for one request in the name of a key.
        room: How many at a time.
        clock: Unix time in seconds.
        patience: How often a request is tried.
    """

    def __init__(
        self,
        state_dir: Path,
        ask: AskAs,
        room: Room,
        clock: Callable[[], float] = time.time,
        patience: Patience | None = None,
    ) -> None:
        self._folder = state_dir / FOLDER
        self._db = batch_database(self._folder)
        self._files = Files(self._folder / "files", self._db, clock)
        self._jobs = Jobs(self._db, clock)
        self._uploads = Uploads(self._files)
        self._worker = Worker(self._jobs, self._files, ask, room, clock, patience)
        self._tasks: list[asyncio.Task[None]] = []
        self._uploading = asyncio.Lock()

    async def start(self) -> None:
        """Takes up what another process left."""
        if (self._folder / DATABASE).exists():
            await in_thread(self._files.sweep_drafts)
        self._tasks = [asyncio.create_task(self._worker.run()), asyncio.create_task(self._sweep())]

    async def stop(self) -> None:
        """Stops what runs; another start takes it up."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await in_thread(self._uploads.close)
        await in_thread(self._db.close)

    # -- files --------------------------------------------------------------------------------

    async def upload(self, owner: str) -> str:
        """Begins a file, see `Uploads.begin`."""
        return await self._one_upload(self._uploads.begin, owner)

    async def add(self, name: str, piece: bytes) -> None:
        """Its next bytes."""
        await self._one_upload(self._uploads.add, name, piece)

    async def keep(self, name: str, purpose: str, filename: str, expires_s: int | None = None) -> FileInfo:
        """It is complete."""
        return await self._one_upload(self._uploads.finish, name, purpose, filename, expires_s)

    async def drop(self, name: str) -> None:
        """It will not be complete."""
        await self._one_upload(self._uploads.drop, name)

    async def file(self, owner: str, file_id: str) -> FileInfo:
        """Raises: RecordNotFound."""
        return await in_thread(self._files.get, owner, file_id)

    async def files(
        self, owner: str, purpose: str | None, after: str | None, limit: int, order: Order
    ) -> tuple[Sequence[FileInfo], bool]:
        """Files, and whether there are more. Raises: RecordNotFound."""
        return await in_thread(
            self._files.list, owner, purpose=purpose, after=after, limit=limit, order=order
        )

    async def content(self, owner: str, file_id: str, at: int, size: int) -> bytes:
        """A part of a file, at most 4 MiB. Raises: RecordNotFound."""
        return await in_thread(self._files.read, owner, file_id, at, min(size, MAX_PIECE_BYTES))

    async def delete(self, owner: str, file_id: str) -> None:
        """Raises: RecordNotFound, InvalidRequest: A batch reads it."""
        await in_thread(self._files.delete, owner, file_id)

    # -- batches ------------------------------------------------------------------------------

    async def create(
        self,
        owner: str,
        key_id: str,
        endpoint: str,
        input_file_id: str,
        window: str,
        metadata: Mapping[str, str] | None = None,
    ) -> Job:
        """A new batch, which begins as soon as it may.

        Raises:
            InvalidRequest: An argument is wrong.
            RecordNotFound: There is no such file.
            Overloaded: Too many are not finished.
        """
        if endpoint not in SERVED:
            raise InvalidRequest(f"'endpoint' must be one of {', '.join(SERVED)}.", param="endpoint")
        found = await self.file(owner, input_file_id)
        if found.purpose != "batch":
            raise InvalidRequest(
                "The input file must have been uploaded with purpose 'batch'.", param="input_file_id"
            )
        job = await in_thread(
            self._jobs.create,
            *(owner, key_id),
            endpoint=endpoint,
            input_file_id=input_file_id,
            window=window,
            metadata=metadata,
        )
        self._worker.wake()
        return job

    async def batch(self, owner: str, batch_id: str) -> Job:
        """Raises: RecordNotFound."""
        return await in_thread(self._jobs.get, owner, batch_id)

    async def batches(self, owner: str, after: str | None, limit: int) -> tuple[Sequence[Job], bool]:
        """Batches, the newest first, and whether there are more. Raises: RecordNotFound."""
        return await in_thread(self._jobs.list, owner, after=after, limit=limit)

    async def counts(self) -> Mapping[Status, tuple[int, int, int, int]]:
        """How many there are of all owners; see `Jobs.counts`."""
        return await in_thread(self._jobs.counts)

    async def cancel(self, owner: str, batch_id: str) -> Job:
        """Stops asking at once. Raises: RecordNotFound, InvalidRequest: It is finished."""
        job = await in_thread(self._jobs.cancel, owner, batch_id)
        if job.status == "cancelling":
            self._worker.stop_asking(batch_id)
        return job

    async def _one_upload(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        async with self._uploading:
            try:
                return await in_thread(work, *args, **kwargs)
            except OSError as error:
                raise StorageFull(f"The file cannot be written: {error.strerror}.") from None

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            try:
                await in_thread(self._files.sweep)
            except ZoranError as error:
                log.error("files that have expired cannot be deleted: %s", error)
