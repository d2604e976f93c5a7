"""What may be asked of the memory as a whole, however many shards and nodes it has."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from zoran_ray.memory.answers import Stats, Stored
from zoran_ray.memory.consent import Consent
from zoran_ray.memory.embedder import EmbedderId
from zoran_ray.memory.record import Record
from zoran_ray.memory.search import Hit, Query


@dataclass(frozen=True, slots=True)
class ShardStats:
    """How one shard is.

    Attributes:
        name: Which.
        node: Where it runs.
        stats: None where it does not answer.
        waits_for: Shards that it must be compared with before it answers for records that they hold too.
    """

    name: str
    node: str
    stats: Stats | None
    waits_for: tuple[str, ...] = ()


class MemoryService(Protocol):
    """The memory. Every call has a deadline; what `MemoryShard` raises, this raises too.

    `Unavailable` where the shards that are needed do not answer; what was written by then is written, and
    the same call again does no harm.
    """

    async def embedder(self) -> EmbedderId:
        """Whose vectors it holds."""
        ...

    async def put(self, records: Sequence[Record]) -> tuple[Stored, ...]:
        """Keeps records of one tenant and one subject, all or none; on return they are durable."""
        ...

    async def get(self, tenant: str, record_id: str) -> Record:
        """A record, without its embedding."""
        ...

    async def search(self, query: Query) -> list[Hit]:
        """The best records, best first."""
        ...

    async def confirm(self, tenant: str, record_id: str) -> Stored:
        """The user says that a record is true."""
        ...

    async def promote(self, tenant: str, record_id: str, journal_leaf: int) -> Stored:
        """An explicit act, written to the journal under this number, moves a record on."""
        ...

    async def give(self, consent: Consent) -> None:
        """Writes a consent down; twice is once."""
        ...

    async def withdraw(self, tenant: str, consent_id: str, *, forget: bool = True) -> None:
        """Takes a consent back."""
        ...

    async def forget(self, tenant: str, ids: Sequence[str]) -> int:
        """Removes records. Returns: How many there were."""
        ...

    async def forget_subject(self, tenant: str, subject: str) -> int:
        """Removes everything about a subject. Returns: How many records there were."""
        ...

    async def forget_tenant(self, tenant: str) -> int:
        """Removes everything of a tenant. Returns: How many records there were."""
        ...

    async def export(self, tenant: str, subject: str) -> dict[str, Any]:
        """Everything kept about a subject, as plain values for JSON."""
        ...

    async def compact(self) -> None:
        """Writes every shard anew: after that no file has a byte of what was forgotten."""
        ...

    async def stats(self) -> tuple[ShardStats, ...]:
        """How the shards are."""
        ...
