"""What clients ask of one shard of the memory.

A write is acknowledged when it is durable here and at every peer that is up. The first of a key's holders
that is up decides about it; the others hand on to that one what they are asked. Knows neither Ray nor HTTP.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from zoran_ray.errors import RecordNotFound, Unavailable
from zoran_ray.memory.answers import Stats, Stored
from zoran_ray.memory.consent import Consent
from zoran_ray.memory.embedder import Embedder, EmbedderId
from zoran_ray.memory.lexical import WordCounts
from zoran_ray.memory.links import ShardLost
from zoran_ray.memory.member import Member
from zoran_ray.memory.ops import Batch
from zoran_ray.memory.placement import Layout
from zoran_ray.memory.record import Record
from zoran_ray.memory.search import Candidates, Hit, Query

_ROUNDS = 8

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Here:
    """Whether a shard answers for a tenant's subject: it is the first of its holders that is up."""

    layout: Layout
    name: str
    tenant: str
    up: frozenset[str]

    def __call__(self, subject: str) -> bool:
        return self.first(subject) == self.name

    def first(self, subject: str) -> str | None:
        """Who answers."""
        holders = self.layout.holders(self.tenant, subject)
        return next((shard for shard in holders if shard in self.up), None)


class NotHere(Exception):
    """Another shard decides about this key: its name."""


class Replica(Member):
    """One shard of a layout: everything that may be asked of it."""

    async def put(self, records: Sequence[Record]) -> tuple[Stored, ...]:
        """`MemoryShard.put` of records of one tenant and subject."""
        tenant, subject = records[0].tenant, records[0].subject

        def do() -> tuple[Stored, ...]:
            self._decides(tenant, subject)
            return self._shard.put(records).stored

        return await self._decided(do, "put", records)

    async def get(self, tenant: str, record_id: str) -> Record:
        """`MemoryShard.get`."""
        return await self._read(lambda: self._shard.get(tenant, record_id))

    async def search(self, query: Query) -> list[Hit]:
        """`MemoryShard.search`, where this is the only shard."""
        return await self._read(lambda: self._shard.search(query))

    async def word_counts(self, query: Query, up: frozenset[str]) -> WordCounts:
        """What the other shards have to know of the keys that this one answers for."""
        owned = self._owned(query.tenant, up)
        return await self._read(lambda: self._shard.word_counts(query, owned))

    async def candidates(self, query: Query, counts: WordCounts | None, up: frozenset[str]) -> Candidates:
        """The best of the keys that this shard answers for while `up` are up."""
        owned = self._owned(query.tenant, up)
        return await self._read(lambda: self._shard.candidates(query, counts, owned))

    async def records(self, tenant: str, ids: Sequence[str]) -> dict[str, Record]:
        """`MemoryShard.records`."""
        return await self._read(lambda: self._shard.records(tenant, ids))

    async def confirm(self, tenant: str, record_id: str) -> Stored:
        """`MemoryShard.confirm`."""

        def do() -> Stored:
            self._decides(tenant, self._subject_of(tenant, record_id))
            return self._shard.confirm(tenant, record_id).stored[0]

        return await self._decided(do, "confirm", tenant, record_id)

    async def promote(self, tenant: str, record_id: str, journal_leaf: int) -> Stored:
        """`MemoryShard.promote`."""

        def do() -> Stored:
            self._decides(tenant, self._subject_of(tenant, record_id))
            return self._shard.promote(tenant, record_id, journal_leaf).stored[0]

        return await self._decided(do, "promote", tenant, record_id, journal_leaf)

    async def give(self, consent: Consent) -> None:
        """`MemoryShard.give`."""

        def do() -> None:
            self._decides(consent.tenant, consent.subject)
            self._shard.give(consent)

        await self._decided(do, "give", consent)

    async def withdraw(self, tenant: str, consent_id: str, forget: bool) -> None:
        """`MemoryShard.withdraw`."""

        def do() -> None:
            subject = self._shard.subject_of_consent(tenant, consent_id)
            if subject is None:
                raise RecordNotFound("There is no consent of this id.", param="consent")
            self._decides(tenant, subject)
            self._shard.withdraw(tenant, consent_id, forget=forget)

        await self._decided(do, "withdraw", tenant, consent_id, forget)

    async def forget_subject(self, tenant: str, subject: str) -> int:
        """`MemoryShard.forget_subject`."""

        def do() -> int:
            self._decides(tenant, subject)
            return self._shard.forget_subject(tenant, subject)

        return await self._decided(do, "forget_subject", tenant, subject)

    async def forget(self, tenant: str, ids: Sequence[str]) -> tuple[int, frozenset[str]]:
        """Removes those records that this shard decides about.

        Returns:
            How many there were; the shards that are up as seen from here.
        """
        return await self._mine(lambda here: self._shard.forget_owned(tenant, ids, here), tenant)

    async def forget_tenant(self, tenant: str) -> tuple[int, frozenset[str]]:
        """Removes all of a tenant that this shard decides about. Returns: As `forget`."""
        return await self._mine(lambda here: self._shard.forget_tenant_owned(tenant, here), tenant)

    async def export(self, tenant: str, subject: str) -> dict[str, Any]:
        """`MemoryShard.export`."""
        return await self._read(lambda: self._shard.export(tenant, subject))

    async def compact(self) -> None:
        """`MemoryShard.compact`."""
        await self._jobs.run(self._shard.compact)

    async def stats(self) -> tuple[Stats, tuple[str, ...]]:
        """How it is, and for whom it waits."""
        return await self._jobs.run(self._shard.stats), tuple(sorted(self._unsure))

    async def embedder(self) -> EmbedderId:
        """Whose vectors it holds."""
        return self._shard.embedder

    async def reindex(self, embedder: Embedder, progress: Callable[[int, int], None]) -> None:
        """`MemoryShard.reindex`; it answers nothing else meanwhile."""
        await self._jobs.run(lambda: self._shard.reindex(embedder, progress))

    async def _decided(self, do: Callable[[], T], method: str, *args: Any) -> T:
        """Does a write here, or has whoever decides about its key do it."""
        for _ in range(_ROUNDS):
            try:
                return await self._written(do)
            except NotHere as elsewhere:
                peer = self._peers[str(elsewhere)]
            try:
                result: T = await peer.link.ask(method, *args)
                return result
            except ShardLost:
                peer.lose()
        raise Unavailable("The shards of the memory come and go; try again.", retry_after_s=1.0)

    async def _mine(self, do: Callable[[Here], T], tenant: str) -> tuple[T, frozenset[str]]:
        def here() -> tuple[T, frozenset[str]]:
            self._check_sure(self._unsure)
            up = self._up
            return do(Here(self._layout, self.name, tenant, up)), up

        return await self._written(here)

    async def _written(self, do: Callable[[], T]) -> T:
        """Does something that writes; on return it is durable wherever it has to be."""

        def write() -> tuple[T, list[tuple[bytes, Batch]], int]:
            self._shard.take_written()
            result = do()
            return result, self._shard.take_written(), self._shard.number

        result, arrivals = await self._jobs.run(write, self._spread)
        if arrivals:
            await asyncio.gather(*arrivals)
        answer: T = result
        return answer

    async def _read(self, do: Callable[[], T]) -> T:
        def sure() -> T:
            self._check_sure(self._unsure)
            return do()

        result: T = await self._jobs.run(sure)
        return result

    def _decides(self, tenant: str, subject: str) -> None:
        """Raises: NotHere, ShardBehind: This shard does not decide about a key, now or ever."""
        holders = self._layout.holders(tenant, subject)
        self._check_sure(self._unsure.intersection(holders))
        first = Here(self._layout, self.name, tenant, self._up).first(subject)
        if self.name not in holders or first != self.name:
            raise NotHere(first if first in self._peers else holders[0])

    def _subject_of(self, tenant: str, record_id: str) -> str:
        subject = self._shard.subject_of(tenant, record_id)
        if subject is None:
            self._check_sure(self._unsure)
            raise RecordNotFound("There is no record of this id.", param="id")
        return subject

    def _owned(self, tenant: str, up: frozenset[str]) -> Here | None:
        return Here(self._layout, self.name, tenant, up) if self._peers else None
