"""The memory as a whole: sends each call to the shards it concerns, and joins what they answer.

What several shards find is ranked as one shard that holds all would rank it. A shard that does not answer
is left out for a moment; its replicas answer instead. Knows neither Ray nor HTTP.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from zoran_ray.errors import InvalidRequest, RecordNotFound, ShardBehind, Unavailable
from zoran_ray.memory.answers import Stored
from zoran_ray.memory.consent import Consent
from zoran_ray.memory.embedder import EmbedderId
from zoran_ray.memory.links import Link, ShardLost
from zoran_ray.memory.placement import Layout
from zoran_ray.memory.record import Record
from zoran_ray.memory.search import Candidates, Hit, Query, fused, hits, merged, total
from zoran_ray.memory.service import ShardStats

DEADLINE_S = 10.0
COMPACT_S = 600.0
_PAUSE_S = 0.1
_AWAY_S = 1.0
_ASK_S = 5.0

T = TypeVar("T")


class ShardedMemory:
    """A `MemoryService` over shards.

    Args:
        layout: Gives the layout that holds now; asked again when a shard does not know us any more.
        link: Gives the way to a shard.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        layout: Callable[[], Awaitable[Layout]],
        link: Callable[[str], Link],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask_layout = layout
        self._layout: Layout | None = None
        self._stale = False
        self._link = link
        self._clock = clock
        self._away: dict[str, float] = {}

    async def embedder(self) -> EmbedderId:
        """Whose vectors it holds."""
        found: EmbedderId = await self._persist(self._any, "embedder")
        return found

    async def put(self, records: Sequence[Record]) -> tuple[Stored, ...]:
        """Keeps records of one tenant and one subject, all or none; on return they are durable."""
        if not records:
            return ()
        key = records[0].tenant, records[0].subject
        if any((record.tenant, record.subject) != key for record in records):
            raise InvalidRequest("One write is about one subject of one tenant.", param="subject")
        stored: tuple[Stored, ...] = await self._persist(self._holder, *key, "put", records)
        return stored

    async def get(self, tenant: str, record_id: str) -> Record:
        """A record, without its embedding."""
        record: Record = await self._persist(self._whoever_has, "get", tenant, record_id)
        return record

    async def search(self, query: Query) -> list[Hit]:
        """The best records, best first."""
        found: list[Hit] = await self._persist(self._search, query)
        return found

    async def confirm(self, tenant: str, record_id: str) -> Stored:
        """The user says that a record is true."""
        stored: Stored = await self._persist(self._whoever_has, "confirm", tenant, record_id)
        return stored

    async def promote(self, tenant: str, record_id: str, journal_leaf: int) -> Stored:
        """An explicit act, written to the journal under this number, moves a record on."""
        stored: Stored = await self._persist(self._whoever_has, "promote", tenant, record_id, journal_leaf)
        return stored

    async def give(self, consent: Consent) -> None:
        """Writes a consent down; twice is once."""
        await self._persist(self._holder, consent.tenant, consent.subject, "give", consent)

    async def withdraw(self, tenant: str, consent_id: str, *, forget: bool = True) -> None:
        """Takes a consent back."""
        await self._persist(self._whoever_has, "withdraw", tenant, consent_id, forget)

    async def forget(self, tenant: str, ids: Sequence[str]) -> int:
        """Removes records. Returns: How many there were."""
        return await self._forget_everywhere("forget", tenant, ids)

    async def forget_subject(self, tenant: str, subject: str) -> int:
        """Removes everything about a subject. Returns: How many records there were."""
        count: int = await self._persist(self._holder, tenant, subject, "forget_subject", tenant, subject)
        return count

    async def forget_tenant(self, tenant: str) -> int:
        """Removes everything of a tenant. Returns: How many records there were."""
        return await self._forget_everywhere("forget_tenant", tenant)

    async def export(self, tenant: str, subject: str) -> dict[str, Any]:
        """Everything kept about a subject, as plain values for JSON."""
        found: dict[str, Any] = await self._persist(
            self._holder, tenant, subject, "export", tenant, subject
        )
        return found

    async def compact(self) -> None:
        """Writes every shard anew: after that no file has a byte of what was forgotten."""
        layout = await self._known_layout()
        asked = [self._link(shard).ask("compact", timeout_s=COMPACT_S) for shard in layout.shards]
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(answer, ShardLost):
                raise Unavailable("A shard of the memory does not answer, so it was not compacted.")
            if isinstance(answer, BaseException):
                raise answer

    async def stats(self) -> tuple[ShardStats, ...]:
        """How the shards are."""
        layout = await self._known_layout()
        asked = [self._ask(shard, "stats") for shard in layout.shards]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        rows = []
        for place, answer in zip(layout.places, answers, strict=True):
            if isinstance(answer, BaseException):
                self._stale = True
                rows.append(ShardStats(place.shard, place.node, None))
            else:
                rows.append(ShardStats(place.shard, place.node, *answer))
        return tuple(rows)

    # -- ways -------------------------------------------------------------------------------

    async def _persist(self, attempt: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Tries until a shard answers that knows, or the deadline is over."""
        deadline = self._clock() + DEADLINE_S
        while True:
            try:
                return await attempt(*args)
            except ShardLost:
                self._stale = True
                refusal: Unavailable = Unavailable(
                    "The shards of the memory that are needed do not answer; try again shortly.",
                    retry_after_s=1.0,
                )
            except ShardBehind as behind:
                refusal = behind
            if self._clock() + _PAUSE_S >= deadline:
                raise refusal
            await asyncio.sleep(_PAUSE_S)

    async def _any(self, method: str, *args: Any) -> Any:
        layout = await self._known_layout()
        return await self._first(self._present(layout.shards), method, *args)

    async def _holder(self, tenant: str, subject: str, method: str, *args: Any) -> Any:
        """Asks the holders of a key, one after the other until one answers."""
        layout = await self._known_layout()
        return await self._first(self._present(layout.holders(tenant, subject)), method, *args)

    async def _first(self, shards: Sequence[str], method: str, *args: Any) -> Any:
        refusal: Exception = ShardLost(method)
        for shard in shards:
            try:
                return await self._ask(shard, method, *args)
            except (ShardLost, ShardBehind) as failure:
                refusal = failure
        raise refusal

    async def _whoever_has(self, method: str, *args: Any) -> Any:
        """Asks all shards: only one that has the record does not say that there is none."""
        layout = await self._known_layout()
        asked = [self._ask(shard, method, *args) for shard in layout.shards]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        failures = [answer for answer in answers if isinstance(answer, BaseException)]
        if len(failures) < len(answers):
            return next(answer for answer in answers if not isinstance(answer, BaseException))
        raise _told(failures, layout.copies)

    async def _forget_everywhere(self, method: str, tenant: str, *args: Any) -> int:
        """Every shard removes what it decides about, until no key is left that nobody decided about."""
        counted = 0

        async def attempt() -> int:
            nonlocal counted
            layout = await self._known_layout()
            asked = [self._ask(shard, method, tenant, *args) for shard in layout.shards]
            answers = await asyncio.gather(*asked, return_exceptions=True)
            lost, ups = set(), []
            refusal: BaseException | None = None
            for shard, answer in zip(layout.shards, answers, strict=True):
                if isinstance(answer, ShardLost):
                    lost.add(shard)
                elif isinstance(answer, BaseException):
                    refusal = answer
                else:
                    counted += answer[0]
                    ups.append(answer[1])
            if refusal is not None:
                raise refusal
            if lost and (layout.copies < 2 or any(lost & up for up in ups) or not ups):
                raise ShardLost(method)
            return counted

        return await self._persist(attempt)

    async def _search(self, query: Query) -> list[Hit]:
        layout = await self._known_layout()
        if len(layout.shards) == 1:
            found: list[Hit] = await self._ask(layout.shards[0], "search", query)
            return found
        up = self._answering(layout)
        asked = sorted(self._concerned(layout, query, up))
        counts = None
        if query.text:
            counts = total(await self._all(asked, "word_counts", query, up))
        offers: list[Candidates] = await self._all(asked, "candidates", query, counts, up)
        ranked = merged(offers, query.depth)
        wanted = {hit.id for hit in fused(ranked, query.limit)}
        shown: dict[str, Record] = {}
        having = [
            (shard, [i for i in wanted if any(r.id == i for r in (*offer.dense, *offer.lexical))])
            for shard, offer in zip(asked, offers, strict=True)
        ]
        parts = [self._ask(shard, "records", query.tenant, ids) for shard, ids in having if ids]
        for part in await asyncio.gather(*parts):
            shown |= part
        return hits(ranked, query.limit, shown.get)

    def _concerned(self, layout: Layout, query: Query, up: frozenset[str]) -> set[str]:
        """Shards that answer for what is asked."""
        if query.where.subjects is None or query.text:
            return set(up)  # how rare a word is, all shards know together
        found = set()
        for subject in query.where.subjects:
            found |= {next((s for s in layout.holders(query.tenant, subject) if s in up), "")}
        if "" in found:
            raise ShardLost("search")
        return found

    async def _all(self, shards: Sequence[str], method: str, *args: Any) -> list[Any]:
        return list(await asyncio.gather(*(self._ask(shard, method, *args) for shard in shards)))

    def _answering(self, layout: Layout) -> frozenset[str]:
        """Shards that together know everything: half an answer is none."""
        present = self._present(layout.shards)
        enough = len(layout.shards) - len(present) < layout.copies
        return frozenset(present if enough else layout.shards)

    async def _ask(self, shard: str, method: str, *args: Any) -> Any:
        try:
            answer = await self._link(shard).ask(method, *args, timeout_s=_ASK_S)
        except ShardLost:
            self._away[shard] = self._clock() + _AWAY_S
            raise
        self._away.pop(shard, None)
        return answer

    def _present(self, shards: Sequence[str]) -> list[str]:
        """Those that were not lost a moment ago; all where none is left."""
        now = self._clock()
        return [s for s in shards if self._away.get(s, now) <= now] or list(shards)

    async def _known_layout(self) -> Layout:
        if self._layout is None:
            self._layout = await self._ask_layout()
        elif self._stale:
            with contextlib.suppress(Unavailable):
                self._layout = await self._ask_layout()
            self._stale = False
        return self._layout


def _told(failures: Sequence[BaseException], copies: int) -> BaseException:
    """What the failures of all shards mean together: nobody has it only if everybody says so."""
    lost = [failure for failure in failures if isinstance(failure, ShardLost)]
    others = [f for f in failures if not isinstance(f, ShardLost | RecordNotFound)]
    if others:
        return others[0]
    if lost and (copies < 2 or len(lost) >= copies):
        return lost[0]
    return next(failure for failure in failures if not isinstance(failure, ShardLost))
