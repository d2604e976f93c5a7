"""What the routes and chat ask of the memory: in whose name, with which vectors, and told to the journal.

Whose memory it is, the key alone says. What is written is told first: a leaf of the journal says what was
about to be kept, and without a journal nothing is. What is erased is erased first: an erasure stands,
whether or not the journal can take it. Knows neither HTTP nor Ray.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from serve_apps.gateway.memory_fields import Agreement, Draft, Search
from serve_apps.gateway.memory_journal import MemoryJournal
from serve_apps.gateway.memory_tenant import operator_only, source_of, tenant_of
from zoran_ray.errors import ConfigError, EmbedderMismatch, InvalidRequest, Unavailable
from zoran_ray.memory.answers import Stored
from zoran_ray.memory.consent import Consent, minimised
from zoran_ray.memory.embedder import EmbedderId
from zoran_ray.memory.record import Provenance, Record, changed, embedding_bytes, new_id
from zoran_ray.memory.rules import MemoryRules, entered
from zoran_ray.memory.search import USUAL_LAYERS, Filter, Hit, Query
from zoran_ray.memory.service import MemoryService, ShardStats
from zoran_ray.messages import KeyInfo

log = logging.getLogger("zoran.gateway")

MOST_AT_ONCE = 8
"""Subjects that one call writes about at the same time."""


class Embed(Protocol):
    """Makes vectors."""

    def __call__(self, texts: Sequence[str], key: KeyInfo, /) -> Awaitable[list[bytes]]:
        """Texts, none empty, to float32 little-endian unit vectors; the key pays where that costs."""
        ...


ForgetTraces = Callable[[str, str | None], Awaitable[int]]
"""Deletes traces of a tenant: about a subject, or all. Returns: How many. Raises: Unavailable."""


async def no_traces(tenant: str, subject: str | None) -> int:
    """There are none."""
    return 0


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of a record, and the leaf of the journal that says so."""

    stored: Stored
    journal_leaf: int


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was erased.

    Attributes:
        count: Records there were.
        journal_leaf: None where the journal could not take it.
        names_forgotten: Whether the journal's key for these names is gone too; None where none was to go.
        traces: What strategies had thought for them, and is gone too.
    """

    count: int
    journal_leaf: int | None
    names_forgotten: bool | None = None
    traces: int = 0


class MemoryDesk:
    """Asks the memory in the name of keys.

    Args:
        memory: The memory.
        embed: Makes vectors of texts.
        journal: Told of everything that changes.
        rules: Rules of layers and purposes: what they refuse is refused before the journal hears of it.
        clock: Unix time in seconds.
        traces: Deletes traces of who is forgotten.
    """

    def __init__(
        self,
        memory: MemoryService,
        embed: Embed,
        journal: MemoryJournal,
        rules: MemoryRules,
        clock: Callable[[], float] = time.time,
        traces: ForgetTraces = no_traces,
    ) -> None:
        self._traces = traces
        self._memory = memory
        self._embed = embed
        self._journal = journal
        self._rules = rules
        self._clock = clock

    def record(self, key: KeyInfo, draft: Draft, request_id: str) -> Record:
        """The record of a draft, without its vector.

        Raises:
            InvalidRequest, BodyTooLarge, PermissionDenied: It may not be kept.
        """
        now = self._clock()
        record = Record(
            id=draft.id or new_id(),
            tenant=tenant_of(key),
            subject=draft.subject,
            text=draft.text,
            purpose=draft.purpose,
            created=now if draft.created is None else min(draft.created, now),
            layer=draft.layer,
            embedding=b"" if draft.embedding is None else embedding_bytes(draft.embedding),
            source=source_of(key, draft.source),
            consent=draft.consent,
            expires=draft.expires,
            conversation=draft.conversation,
            sensitivity=draft.sensitivity,
            provenance=Provenance(request_id),
        )
        minimised(entered(record, self._rules, now), self._rules.purposes[record.purpose])
        return record

    async def put(self, key: KeyInfo, drafts: Sequence[Draft], request_id: str) -> list[Kept]:
        """Keeps records; on return they are durable.

        Those about one subject are kept all or none. Where this fails some subjects' may be there: the same
        call again does no harm to those whose ids and times the caller gave.

        Raises:
            RequestError: One of them may not be kept.
            EmbedderMismatch, Unavailable: Not now.
        """
        records = [self.record(key, draft, request_id) for draft in drafts]
        with _plainly(embedded=not any(record.embedding for record in records)):
            records = await self._embedded(records, key)
            first = await self._journal.writing(records)
            records = [
                changed(record, provenance=Provenance(request_id, first + place))
                for place, record in enumerate(records)
            ]
            stored = await self._put(records)
        return [Kept(each, first + place) for place, each in enumerate(stored)]

    async def search(self, key: KeyInfo, asked: Search) -> list[Hit]:
        """The best records, best first. What came from outside only where its layer is named."""
        given, text = asked.embedding, asked.text
        tenant = tenant_of(key)
        where = Filter(
            subjects=asked.subjects,
            layers=USUAL_LAYERS if asked.layers is None else frozenset(asked.layers),
            purposes=asked.purposes,
            since=asked.since,
            until=asked.until,
        )
        with _plainly(embedded=given is None):
            embedding = b"" if given is None else embedding_bytes(given)
            if given is None and text:
                (embedding,) = await self._embed([text], key)
            query = Query(tenant, text=text, embedding=embedding, limit=asked.limit, where=where)
            return await self._memory.search(query)

    async def get(self, key: KeyInfo, record_id: str) -> Record:
        """A record. Raises: RecordNotFound: This tenant has none of this id. ConsentRequired."""
        with _plainly():
            return await self._memory.get(tenant_of(key), record_id)

    async def confirm(self, key: KeyInfo, record_id: str) -> Kept:
        """The user says that a record is true. Raises: As `get`."""
        leaf = await self._moving(key, record_id, "confirmed")
        with _plainly():
            return Kept(await self._memory.confirm(tenant_of(key), record_id), leaf)

    async def promote(self, key: KeyInfo, record_id: str) -> Kept:
        """Moves a record on by an explicit act. Raises: As `get`; PermissionDenied: No rule leads on."""
        leaf = await self._moving(key, record_id, "promoted")
        with _plainly():
            return Kept(await self._memory.promote(tenant_of(key), record_id, leaf), leaf)

    async def forget(self, key: KeyInfo, ids: Sequence[str]) -> Erasure:
        """Removes records by their ids; what is not there is not missed."""
        tenant = tenant_of(key)
        with _plainly():
            count = await self._memory.forget(tenant, ids)
        return Erasure(count, await self._journal.erased("ids", count, tenant))

    async def forget_subject(self, key: KeyInfo, subject: str) -> Erasure:
        """Removes everything about a subject, from the journal its name. Raises: Unavailable: Not now."""
        tenant = tenant_of(key)
        traces = await self._traces(key.tenant, subject)
        with _plainly():
            count = await self._memory.forget_subject(tenant, subject)
        leaf = await self._journal.erased("subject", count, tenant, subject)
        return Erasure(count, leaf, await self._journal.forget_names(tenant, subject), traces)

    async def forget_everything(self, key: KeyInfo) -> Erasure:
        """Removes everything of the key's tenant, from the journal all its names."""
        tenant = tenant_of(key)
        traces = await self._traces(key.tenant, None)
        with _plainly():
            count = await self._memory.forget_tenant(tenant)
        leaf = await self._journal.erased("tenant", count, tenant)
        return Erasure(count, leaf, await self._journal.forget_names(tenant, None), traces)

    async def export(self, key: KeyInfo, subject: str) -> dict[str, Any]:
        """Everything kept about a subject."""
        with _plainly():
            return await self._memory.export(tenant_of(key), subject)

    async def give(self, key: KeyInfo, agreed: Agreement) -> tuple[Consent, int]:
        """Writes a consent down. Returns: It, and its leaf. Raises: InvalidRequest, StorageFull."""
        now = self._clock()
        consent = Consent(
            id=agreed.id or new_id(),
            tenant=tenant_of(key),
            subject=agreed.subject,
            purposes=agreed.purposes,
            layers=agreed.layers,
            given=now if agreed.given is None else min(agreed.given, now),
            expires=agreed.expires,
        )
        with _plainly():
            leaf = await self._journal.agreeing(consent)
            await self._memory.give(consent)
        return consent, leaf

    async def withdraw(self, key: KeyInfo, consent_id: str, *, forget: bool) -> int | None:
        """Takes a consent back, at once. Returns: Its leaf, None where the journal could not take it.

        Raises:
            RecordNotFound: This tenant has no such consent.
        """
        tenant = tenant_of(key)
        with _plainly():
            await self._memory.withdraw(tenant, consent_id, forget=forget)
        return await self._journal.withdrawn(tenant, consent_id, forget=forget)

    async def compact(self, key: KeyInfo) -> None:
        """Writes all shards anew, for every tenant. Raises: PermissionDenied: See `operator_only`."""
        operator_only(key)
        with _plainly():
            await self._memory.compact()

    async def embedder(self) -> EmbedderId:
        """Whose vectors the memory holds."""
        with _plainly():
            return await self._memory.embedder()

    async def stats(self, key: KeyInfo) -> tuple[ShardStats, ...]:
        """How the shards are. Raises: PermissionDenied: They hold all tenants' records; see above."""
        operator_only(key)
        with _plainly():
            return await self._memory.stats()

    async def _embedded(self, records: Sequence[Record], key: KeyInfo) -> list[Record]:
        """The records with vectors, where one is to be kept and none was given."""
        places = [
            place
            for place, record in enumerate(records)
            if record.text and not record.embedding and self._wants_vector(record)
        ]
        made = list(records)
        if places:
            vectors = await self._embed([records[place].text for place in places], key)
            for place, vector in zip(places, vectors, strict=True):
                made[place] = changed(records[place], embedding=vector)
        return made

    def _wants_vector(self, record: Record) -> bool:
        return "embedding" in self._rules.purposes[record.purpose].fields

    async def _put(self, records: Sequence[Record]) -> list[Stored]:
        """What became of each record, in their order; each subject's go together."""
        places: dict[str, list[int]] = {}
        for place, record in enumerate(records):
            places.setdefault(record.subject, []).append(place)
        room = asyncio.Semaphore(MOST_AT_ONCE)

        async def one(group: list[int]) -> tuple[Stored, ...]:
            async with room:
                return await self._memory.put([records[place] for place in group])

        answers = await asyncio.gather(*map(one, places.values()), return_exceptions=True)
        found: dict[int, Stored] = {}
        for group, answer in zip(places.values(), answers, strict=True):
            if isinstance(answer, BaseException):
                raise answer
            found.update(zip(group, answer, strict=True))
        return [found[place] for place in range(len(records))]

    async def _moving(self, key: KeyInfo, record_id: str, act: Literal["confirmed", "promoted"]) -> int:
        """Tells the journal of an act on a record, which must be there. Returns: The leaf."""
        with _plainly():
            return await self._journal.moving(await self._memory.get(tenant_of(key), record_id), act)


@contextlib.contextmanager
def _plainly(*, embedded: bool = False) -> Iterator[None]:
    """What a caller may hear of our own faults.

    Args:
        embedded: Whether we made the vectors: then a wrong dimension is no fault of the caller's.
    """
    try:
        yield
    except EmbedderMismatch:
        raise
    except ConfigError as error:
        # Its text is the operator's: it may name files.
        log.error("the memory cannot be used: %s", error.message)
        raise Unavailable(
            "The memory cannot be used as it is; the operator finds in the server's log why."
        ) from None
    except InvalidRequest as error:
        if embedded and error.param == "embedding":
            raise EmbedderMismatch(
                "The memory was made with another embedder than this server has now. Ask the operator for"
                " the former one, or to make the index anew: zoran memory reindex"
            ) from None
        raise
