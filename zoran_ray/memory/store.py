"""A shard's state kept on disk: what is written is in the log first, and compaction writes it all anew.

Knows generations, the log and the state; knows no rule but how the state is made. One thread at a time.
"""

import contextlib
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from zoran_ray.errors import ConfigError, StateDamaged, StorageFull, ZoranError
from zoran_ray.memory.disk import Disk, FolderLock, OsDisk, write_refused
from zoran_ray.memory.embedder import EmbedderId, check_same
from zoran_ray.memory.frames import salvage
from zoran_ray.memory.generations import Generation, begin, clear, latest, read
from zoran_ray.memory.ops import Batch, Complete, Give, Noted, Op, Put, Settled, decode_batch, encode_batch
from zoran_ray.memory.qdrant import MakeMirror
from zoran_ray.memory.record import framed_body
from zoran_ray.memory.rules import MemoryRules
from zoran_ray.memory.state import ShardState
from zoran_ray.memory.wal import Fsync, WriteAheadLog

FORM = 1
CHUNK_BYTES = 1 << 20
"""About how much of a snapshot is in one frame."""
RESERVE_BYTES = 64 * 1024
"""Room kept on the disk, so that forgetting works where it is full."""


@dataclass(frozen=True, slots=True)
class Durability:
    """How writes are kept.

    Attributes:
        fsync: When a write waits for the disk.
        interval_s: For `Fsync.INTERVAL`: seconds of writes that a power cut may cost.
        disk: Files and names.
        most_consents: Most consents kept.
        noting: Note what changes, for peers that hold the same keys.
    """

    fsync: Fsync = Fsync.ALWAYS
    interval_s: float = 0.1
    disk: Disk = OsDisk()  # noqa: RUF009 - it has no state
    most_consents: int = 1_000_000
    noting: bool = False


class Store:
    """One shard's state and its folder.

    Args:
        folder: Made if there is none; one process has it at a time.
        embedder: Which embedder the vectors are from; None to take it as it is.
        rules: Say which records are the same.
        durability: How writes are kept.
        salvage_damaged: Keep what can be read of a damaged shard, and write it anew. Forgotten records
            whose forgetting cannot be read may be back.
        mirror: Makes a copy of the vectors elsewhere; None for none.

    Attributes:
        state: What the shard knows.
        embedder: Which embedder its vectors are from.
        id: Of this folder; another folder of the same name has another one.
        cut_bytes: Bytes of an unfinished write that were removed.

    Raises:
        AlreadyRunning, ConfigError: The folder is in use, or cannot be used.
        StateDamaged: It fails its checks.
        EmbedderMismatch: The vectors are from another embedder.
        StorageFull, Unavailable: It cannot be written.
    """

    state: ShardState
    embedder: EmbedderId
    _generation: Generation
    _log: WriteAheadLog

    def __init__(
        self,
        folder: Path,
        embedder: EmbedderId | None,
        rules: MemoryRules,
        durability: Durability,
        *,
        salvage_damaged: bool = False,
        mirror: MakeMirror | None = None,
    ) -> None:
        self._rules = rules
        self._mirror = mirror
        self._durability = durability
        self._lock = FolderLock(folder)
        self._reserve = folder / "reserve"
        self.cut_bytes = 0
        self.id = secrets.token_hex(8)
        try:
            found = latest(folder)
            if found is None:
                self._begin(Generation(folder, 1), embedder)
            else:
                self._recover(found, embedder, salvage_damaged)
            self._fill_reserve()
        except BaseException:
            self._lock.release()
            raise

    @property
    def log_bytes(self) -> int:
        """Bytes of the log: what opening has to replay."""
        return self._log.size_bytes

    def write(self, at: float, ops: Sequence[Op], *, urgent: bool = False) -> bytes:
        """Does something, on disk first.

        Args:
            at: The shard's time.
            ops: What happens, together.
            urgent: Use the room that is reserved where the disk is full.

        Returns:
            The batch's bytes, for a replica.

        Raises:
            StorageFull, Unavailable: Nothing has happened.
        """
        data = encode_batch(at, ops)
        self.write_batch(data, Batch(at, tuple(ops)), urgent=urgent)
        return data

    def write_batch(self, data: bytes, batch: Batch, *, urgent: bool = False) -> None:
        """The same with bytes that are there already."""
        if self._log.broken:
            self.compact()  # the state knows everything that was acknowledged; the log may not
        try:
            self._log.append([data])
        except StorageFull:
            if not urgent or self._log.broken or not self._reserve.exists():
                raise
            with contextlib.suppress(OSError):
                self._durability.disk.remove(self._reserve)
            self._log.append([data])
        self.state.apply(batch)
        if self.state.mirror is not None:
            self.state.mirror.settle()

    def compact(self) -> None:
        """Writes everything anew: nothing that was dropped is in any file after that.

        Raises:
            StorageFull, Unavailable: Nothing has changed; room for a second copy is needed.
        """
        old = self._log
        self._log = begin(self._generation.next, self._content(), self._make_log, self._durability.disk)
        self._generation = self._generation.next
        self.state.dropped = 0
        with contextlib.suppress(ZoranError, OSError):  # nothing of it is needed any more
            old.close()
        self._fill_reserve()

    def replace(self, state: ShardState, embedder: EmbedderId) -> None:
        """Another state with vectors of another embedder, on disk and here."""
        old = self.state, self.embedder
        self.state, self.embedder = state, embedder
        try:
            self.compact()
        except ZoranError:
            self.state, self.embedder = old
            raise

    def new_state(self, embedder: EmbedderId) -> ShardState:
        """An empty state."""
        durability = self._durability
        return ShardState(
            embedder.dimension,
            self._rules,
            durability.most_consents,
            noting=durability.noting,
            mirror=None if self._mirror is None else self._mirror(self.id, embedder),
        )

    def sync(self) -> None:
        """Waits until everything written is on the disk."""
        self._log.sync()

    def close(self) -> None:
        """Syncs and lets another process have the folder."""
        try:
            self._log.close()
        finally:
            self._lock.release()

    def _begin(self, generation: Generation, embedder: EmbedderId | None) -> None:
        if embedder is None:
            raise ConfigError(f"{generation.folder} holds no memory yet. Say which embedder it is for.")
        self.embedder = embedder
        self.state = self.new_state(embedder)
        self._generation = generation
        self._log = begin(generation, self._content(), self._make_log, self._durability.disk)

    def _recover(self, generation: Generation, embedder: EmbedderId | None, salvaging: bool) -> None:
        self._generation = generation
        self._load(read(generation, damaged_too=salvaging), embedder, salvaging)
        if salvaging:
            self._salvage_log()
            return
        disk = self._durability.disk
        try:
            clear(generation, disk)
        except OSError as error:
            raise write_refused(error, generation.snapshot) from error
        if not generation.log.exists():
            raise StateDamaged(
                f"{generation.log} is missing. Restore the folder from a replica, or open the shard with"
                " `salvage=True` to go on without it."
            )
        log = self._open_log(generation.log)
        for data in log.replay():
            self.state.apply(decode_batch(data))
        self._log, self.cut_bytes = log, log.cut_bytes

    def _load(self, content: Iterator[bytes], embedder: EmbedderId | None, salvaging: bool) -> None:
        first = next(content, None)
        if first is None or not first.startswith(b"{"):
            raise StateDamaged(
                f"{self._generation.snapshot} does not say which embedder it is for. Restore the folder."
            )
        meta = orjson.loads(first)
        if meta["form"] != FORM:
            raise StateDamaged(f"{self._generation.snapshot} is of a later version. Update zoran_ray.")
        self.embedder = EmbedderId(meta["embedder"], meta["dimension"])
        self.id = meta.get("id", self.id)
        if embedder is not None:
            check_same(self.embedder, embedder)
        self.state = self.new_state(self.embedder)
        self._apply(content, salvaging)
        self.state.dropped = 0

    def _apply(self, content: Iterator[bytes], salvaging: bool) -> None:
        for data in content:
            try:
                self.state.apply(decode_batch(data))
            except StateDamaged:
                if not salvaging:
                    raise

    def _salvage_log(self) -> None:
        log = self._generation.log
        if log.exists():
            self._apply(salvage(log), True)
        new = self._generation.next
        self._log = begin(new, self._content(), self._make_log, self._durability.disk)
        self._generation = new

    def _content(self) -> Iterator[bytes]:
        """Payloads of a snapshot: what it is, then batches that make the state out of nothing."""
        state = self.state
        yield orjson.dumps(
            {
                "form": FORM,
                "id": self.id,
                "embedder": self.embedder.id,
                "dimension": self.embedder.dimension,
            }
        )
        ops: list[Op] = []
        size = 0
        for op in self._ops():
            ops.append(op)
            size += len(op.body or b"") + len(op.record.embedding) if isinstance(op, Put) else 1000
            if size > CHUNK_BYTES:
                yield encode_batch(state.floor, ops)
                ops, size = [], 0
        yield encode_batch(state.floor, ops)

    def _ops(self) -> Iterator[Op]:
        # Consents first: whether a record is hidden is known by its consent.
        for consent in self.state.consents.all():
            yield Give(consent)
        for record in self.state.all_records():
            yield Put(record, body=framed_body(record))
        # Last, since all before it counts as written anew.
        changes = self.state.changes
        if self.state.complete:
            yield Complete()
        yield Noted(changes.number, tuple(changes.rows()))
        for peer, mark in changes.marks.items():
            yield Settled(peer, mark.folder, mark.number)

    def _make_log(self, path: Path) -> WriteAheadLog:
        d = self._durability
        return WriteAheadLog.create(
            path, disk=d.disk, fsync=d.fsync, interval_s=d.interval_s, clock=time.monotonic
        )

    def _open_log(self, path: Path) -> WriteAheadLog:
        d = self._durability
        return WriteAheadLog.open(
            path, disk=d.disk, fsync=d.fsync, interval_s=d.interval_s, clock=time.monotonic
        )

    def _fill_reserve(self) -> None:
        """Without room for it the shard works all the same."""
        if self._reserve.exists():
            return
        disk = self._durability.disk
        try:
            file = disk.open(self._reserve)
            try:
                file.write(bytes(RESERVE_BYTES))
            finally:
                file.close()
        except OSError:
            with contextlib.suppress(OSError):
                disk.remove(self._reserve)
