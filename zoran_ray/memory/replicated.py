"""A shard that has peers: takes what they write, and tells one that was away what it missed.

Synchronous, one thread at a time; `memory.replica` talks to the peers.
"""

from collections.abc import Callable, Iterator, Sequence

from zoran_ray.errors import InvalidRequest
from zoran_ray.memory.bounds import check_room
from zoran_ray.memory.catch_up import accepted, everything, keys, missed, shared
from zoran_ray.memory.changes import Holders, Mark
from zoran_ray.memory.ops import (
    Batch,
    Complete,
    DropSubject,
    Foreign,
    Op,
    Put,
    Settled,
    decode_batch,
    encode_batch,
    followed,
    preceded,
)
from zoran_ray.memory.shard import MemoryShard
from zoran_ray.memory.state import ShardState
from zoran_ray.memory.tenant import Owned

MESSAGE_BYTES = 1 << 20
"""About how much one message to a peer holds."""


class ReplicatedShard(MemoryShard):
    """What peers ask of each other. Its `Durability` must say `noting`."""

    _tick_s = 1e-6
    """Every write is later than all before it, also where the clock stands still: of two, one is later."""
    _unwritten: dict[str, Mark] | None = None
    _written: list[tuple[bytes, Batch]] | None = None

    @property
    def folder_id(self) -> str:
        """Of its folder: another folder under the same name knows nothing."""
        return self._store.id

    @property
    def complete(self) -> bool:
        """Whether all peers have told it what they know, once at least."""
        return self._store.state.complete

    @property
    def number(self) -> int:
        """How many writes there were."""
        return self._store.state.changes.number

    def take_written(self) -> list[tuple[bytes, Batch]]:
        """What was written here since this was last asked: for peers."""
        written, self._written = self._written or [], None
        return written

    def knows(self, peer: str, folder: str) -> bool:
        """Whether it is known how far a peer has followed."""
        return self._store.state.changes.knows(peer, folder)

    def owes(self, peer: str, holders: Holders) -> bool:
        """Whether a peer that is known may have missed something."""
        return bool(self._store.state.changes.owed(peer, holders))

    def forget_owned(self, tenant: str, ids: Sequence[str], owned: Owned) -> int:
        """`forget`, but only of those subjects that this shard answers for."""
        known = self._tenant(tenant)
        found = {name: known.get(name) for name in ids} if known is not None else {}
        return self.forget(tenant, [name for name, r in found.items() if r and owned(r.subject)])

    def forget_tenant_owned(self, tenant: str, owned: Owned) -> int:
        """`forget_tenant`, but only of those subjects that this shard answers for."""
        self._now()
        state = self._store.state
        subjects = sorted(filter(owned, state.subjects(tenant)))
        known = state.tenants.get(tenant)
        count = sum(len(known.ids(subject)) for subject in subjects) if known is not None else 0
        self._write([DropSubject(tenant, subject) for subject in subjects], urgent=True)
        return count

    def subject_of(self, tenant: str, record_id: str) -> str | None:
        """About whom a record is; None where there is none."""
        record = self._store.state.find(tenant, record_id)
        return None if record is None else record.subject

    def subject_of_consent(self, tenant: str, consent_id: str) -> str | None:
        """Who gave a consent; None where there is none."""
        consent = self._store.state.consents.find(tenant, consent_id)
        return None if consent is None else consent.subject

    def become_complete(self) -> None:
        """All peers have told what they know."""
        self._now()
        if not self.complete:
            self._write([Complete()])

    def replicate(self, sender: str, batches: Sequence[bytes]) -> None:
        """Does what a peer did: `Written.batch`, in its order.

        Raises:
            StateDamaged: One cannot be read.
            InvalidRequest: Its embeddings have another dimension.
            StorageFull, Unavailable: Nothing was done of it and of those behind it.
        """
        for data in filter(None, batches):
            self._take(sender, decode_batch(data), data)

    def follow(self, sender: str, batches: Sequence[bytes]) -> None:
        """Takes what a peer tells because it may have been missed here. Raises: As `replicate`."""
        for data in batches:
            told = decode_batch(data)
            ops = accepted(self._store.state, sender, told)
            if ops:
                self._take(sender, Batch(told.at, tuple(ops)), encode_batch(told.at, ops))

    def telling(self, peer: str, folder: str, holders: Holders) -> Iterator[list[bytes]]:
        """What a peer may have missed, in messages; the state may change between them.

        Args:
            folder: Id of the peer's folder.
            holders: Tells which keys it holds.
        """
        state = self._store.state
        if not state.complete:
            return iter(())  # nothing here that others do not know
        if state.changes.knows(peer, folder):
            return _messages(missed(state, state.changes.owed(peer, holders)))
        return _messages(shared(state, peer, holders))

    def telling_all(self, goes: Callable[[str, str], bool]) -> Iterator[list[bytes]]:
        """Everything about some keys, in messages: for shards that are to hold them from now on."""
        state = self._store.state
        return _messages(b for key in keys(state) if goes(*key) for b in everything(state, *key))

    def settle(self, peer: str, folder: str, number: int) -> None:
        """A peer knows every write up to this one. Durable with the next write."""
        mark = Mark(folder, number)
        self._store.state.changes.mark(peer, mark)
        self._unwritten = {**(self._unwritten or {}), peer: mark}

    def keep_marks_of(self, peers: Sequence[str]) -> None:
        """Forgets how far shards followed that are no peers any more."""
        self._store.state.changes.keep_marks_of(peers)

    def drop_strays(self, stays: Callable[[str, str], bool]) -> int:
        """Removes keys that belong to other shards. Returns: How many."""
        self._now()
        strays = [key for key in keys(self._store.state) if not stays(*key)]
        if strays:
            self._pay()  # so that `Foreign` is the first
            self._write([Foreign(""), *(DropSubject(*key) for key in strays)])
        return len(strays)

    def _take(self, sender: str, batch: Batch, data: bytes) -> None:
        self._now()
        self._pay()
        for op in batch.ops:
            if isinstance(op, Put) and op.record.embedding:
                _check_dimension(op, self._store.state)
        check_room(self._store.state, batch.ops, self._bounds)
        foreign = Foreign(sender)
        self._store.write_batch(preceded(data, foreign), Batch(batch.at, (foreign, *batch.ops)))

    def _log(self, data: bytes, batch: Batch, *, urgent: bool = False) -> None:
        self._store.state.changes.check_room()
        told = data, batch
        marks: list[Op] = [
            Settled(peer, mark.folder, mark.number) for peer, mark in (self._unwritten or {}).items()
        ]
        if marks:
            data, batch = followed(data, marks), Batch(batch.at, (*batch.ops, *marks))
        super()._log(data, batch, urgent=urgent)
        self._unwritten = None
        self._written = [*(self._written or []), told]


def _messages(batches: Iterator[Batch]) -> Iterator[list[bytes]]:
    message: list[bytes] = []
    size = 0
    for batch in batches:
        if batch.ops:
            message.append(encode_batch(batch.at, batch.ops))
            size += len(message[-1])
        if size > MESSAGE_BYTES:
            yield message
            message, size = [], 0
    if message:
        yield message


def _check_dimension(op: Put, state: ShardState) -> None:
    if op.record.dimension != state.dimension:
        raise InvalidRequest("The replicas have embeddings of different dimensions. Reindex one.")
