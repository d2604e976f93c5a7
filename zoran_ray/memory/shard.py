"""One shard of the memory: what may be asked of it, and what it promises.

A write that was acknowledged is there after a crash, whole; what was forgotten is not. A tenant sees its
own records alone, whatever ids it guesses: a record of another and one that never was give the same answer.
Synchronous, and writes wait for the disk; one thread at a time. Knows neither Ray nor HTTP.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from zoran_ray.errors import ConsentRequired, InvalidRequest, RecordNotFound, Unavailable
from zoran_ray.memory.answers import MOST_IDS, Stats, Written
from zoran_ray.memory.bounds import Bounds, check_room
from zoran_ray.memory.consent import Consent, consent_json
from zoran_ray.memory.embedder import Embedder, EmbedderId
from zoran_ray.memory.lexical import WordCounts
from zoran_ray.memory.ops import Batch, Drop, DropSubject, DropTenant, Give, Op, Withdraw, encode_batch
from zoran_ray.memory.plan import Plan
from zoran_ray.memory.qdrant import MakeMirror
from zoran_ray.memory.record import Record, as_json, check_name, without_vector
from zoran_ray.memory.reindex import embed_anew
from zoran_ray.memory.rules import MemoryRules
from zoran_ray.memory.search import Candidates, Hit, Query, fused, hits
from zoran_ray.memory.store import Durability, Store
from zoran_ray.memory.tenant import Owned, TenantMemory
from zoran_ray.memory.units import unit


class MemoryShard:
    """Records of many tenants, kept in one folder.

    Args:
        folder: Made if there is none; one process has it at a time.
        embedder: Whose vectors it holds; None to take the folder as it is, which must be there then.
        rules: Rules of layers, purposes and merging.
        bounds: How large it may become.
        durability: How writes are kept.
        clock: Unix time in seconds. Where it goes backwards, the shard's own time stands still.
        salvage: Keep what can be read of a damaged folder. What was forgotten may be back then.
        mirror: Makes a copy of the vectors elsewhere, which finds the nearest; None for none.

    Raises:
        ConfigError: See `Store`.
    """

    _tick_s = 0.0

    def __init__(
        self,
        folder: Path,
        embedder: Embedder | EmbedderId | None,
        rules: MemoryRules,
        *,
        bounds: Bounds | None = None,
        durability: Durability | None = None,
        clock: Callable[[], float] = time.time,
        salvage: bool = False,
        mirror: MakeMirror | None = None,
    ) -> None:
        asked = None if embedder is None else EmbedderId.of(embedder)
        self._rules = rules
        self._bounds = bounds or Bounds()
        self._clock = clock
        self._store = Store(
            *(folder, asked, rules, durability or Durability()), salvage_damaged=salvage, mirror=mirror
        )
        self._owed: list[Op] = []
        self._time = self._store.state.floor

    @property
    def embedder(self) -> EmbedderId:
        """Whose vectors it holds."""
        return self._store.embedder

    def put(self, records: Sequence[Record]) -> Written:
        """Keeps records, all or none; on return they are durable.

        Raises:
            InvalidRequest, PermissionDenied, ConsentRequired: One of them may not be kept; none is.
            StorageFull, Unavailable: None is kept.
        """
        if len(records) > self._bounds.batch:
            raise InvalidRequest(f"One write has at most {self._bounds.batch} records. Send less at once.")
        plan = self._plan()
        stored = plan.add_all(records)
        ops = plan.ops()
        check_room(self._store.state, ops, self._bounds)
        return Written(stored, self._write(ops))

    def get(self, tenant: str, record_id: str) -> Record:
        """A record, without its embedding.

        Raises:
            RecordNotFound: This tenant has none of this id.
            ConsentRequired: The consent it is kept under does not hold any more.
        """
        known = self._tenant(tenant)
        record = None if known is None else known.get(record_id)
        if known is None or record is None:
            raise RecordNotFound("There is no record of this id.", param="id")
        if known.visible(record_id) is None or not self._readable(record):
            raise ConsentRequired(
                "The consent this record is kept under does not hold any more.", param="id"
            )
        return without_vector(record)

    def search(self, query: Query) -> list[Hit]:
        """The best records, best first. Raises: InvalidRequest: The embedding has another dimension."""
        found = self.candidates(query)
        shown = self.records(query.tenant, [ranked.id for ranked in fused(found, query.limit)])
        return hits(found, query.limit, shown.get)

    def word_counts(self, query: Query, owned: Owned | None = None) -> WordCounts:
        """What the other shards have to know for their candidates; `owned`: see there."""
        known = self._tenant(query.tenant)
        return WordCounts() if known is None else known.word_counts(query, owned)

    def candidates(
        self, query: Query, counts: WordCounts | None = None, owned: Owned | None = None
    ) -> Candidates:
        """What this shard has to offer.

        Args:
            query: What is asked.
            counts: Word counts of all shards together; None where this is the only one.
            owned: About whom it answers, where other shards hold the same records; None for everybody.
        """
        if query.embedding:
            # Also where the tenant has nothing: a wrong dimension is an error in any case.
            unit(query.vector(), self._store.state.dimension)
        known = self._tenant(query.tenant)
        return Candidates() if known is None else known.candidates(query, counts, owned)

    def records(self, tenant: str, ids: Iterable[str]) -> dict[str, Record]:
        """Those of a tenant's records that may be shown, by id, without their embeddings."""
        known = self._tenant(tenant)
        found = {} if known is None else {name: known.visible(name) for name in ids}
        return {name: r for name, r in found.items() if r is not None and self._readable(r)}

    def confirm(self, tenant: str, record_id: str) -> Written:
        """The user says that a record is true. Raises: RecordNotFound."""
        plan = self._plan()
        stored = plan.confirm(self._record(tenant, record_id))
        return Written((stored,), self._write(plan.ops()))

    def promote(self, tenant: str, record_id: str, journal_leaf: int) -> Written:
        """An explicit act moves a record on; who did it and why is in the journal.

        Raises:
            RecordNotFound, PermissionDenied, ConsentRequired: It does not go.
        """
        plan = self._plan()
        record = self._record(tenant, record_id)
        proven = replace(record, provenance=replace(record.provenance, journal_leaf=journal_leaf))
        stored = plan.promote(proven)
        return Written((stored,), self._write(plan.ops()))

    def give(self, consent: Consent) -> bytes:
        """Writes a consent down; twice is once. Raises: InvalidRequest, StorageFull."""
        self._now()
        fresh = self._store.state.consents.check_new(consent)
        return self._write([Give(consent)] if fresh else [])

    def withdraw(self, tenant: str, consent_id: str, *, forget: bool = True) -> bytes:
        """Takes a consent back: what was kept under it is not found any more.

        Args:
            tenant: Towards whom it was given.
            consent_id: Which.
            forget: Remove the records too; else they are hidden, where a law says that they be kept.

        Raises:
            RecordNotFound: This tenant has no such consent.
        """
        now = self._now()
        consent = self._store.state.consents.find(tenant, consent_id)
        if consent is None:
            raise RecordNotFound("There is no consent of this id.", param="consent")
        ops: list[Op] = [Withdraw(tenant, consent_id, now)] if consent.withdrawn is None else []
        under = self._under(consent) if forget else ()
        return self._write([*ops, Drop(tenant, under)] if under else ops, urgent=True)

    def forget(self, tenant: str, ids: Sequence[str]) -> int:
        """Removes records; on return they are gone for every question, and durably so.

        Their bytes leave the disk with the next `compact`.

        Returns:
            How many there were.
        """
        if len(ids) > MOST_IDS:
            raise InvalidRequest(f"One call forgets at most {MOST_IDS} ids.", param="ids")
        known = self._tenant(tenant)
        there = tuple(dict.fromkeys(name for name in ids if known is not None and name in known))
        self._write([Drop(tenant, there)] if there else [], urgent=True)
        return len(there)

    def forget_subject(self, tenant: str, subject: str) -> int:
        """Removes everything about a subject, consents too. Returns: How many records there were."""
        known = self._tenant(tenant)
        count = 0 if known is None else len(known.ids(subject))
        if count or self._store.state.consents.of(tenant, subject):
            self._write([DropSubject(tenant, subject)], urgent=True)
        return count

    def forget_tenant(self, tenant: str) -> int:
        """Removes everything of a tenant. Returns: How many records there were."""
        check_name(tenant, "tenant")
        known = self._tenant(tenant)
        count = 0 if known is None else len(known)
        if count or self._store.state.consents.any_of(tenant):
            self._write([DropTenant(tenant)], urgent=True)
        return count

    def export(self, tenant: str, subject: str) -> dict[str, Any]:
        """Everything kept about a subject, hidden records too, as plain values for JSON."""
        known = self._tenant(tenant)
        records = [] if known is None else [known.get(name) for name in known.ids(subject)]
        found = sorted((r for r in records if r is not None), key=lambda r: (r.created, r.id))
        return {
            "tenant": tenant,
            "subject": subject,
            "records": [as_json(record) for record in found],
            "consents": [consent_json(c) for c in self._store.state.consents.of(tenant, subject)],
        }

    def compact(self) -> None:
        """Writes everything anew: after that no file has a byte of what was forgotten.

        Raises:
            StorageFull, Unavailable: Nothing has changed; or a copy of the vectors elsewhere could not be
                compared, and may still have some.
        """
        self._now()
        self._pay()
        self._store.compact()
        if self._store.state.mirror is not None:
            self._store.state.mirror.compare()

    def reindex(self, embedder: Embedder, progress: Callable[[int, int], None] | None = None) -> None:
        """Makes all vectors anew with another embedder, then switches over at once.

        Args:
            embedder: Whose vectors it is to hold.
            progress: Told how many records of how many are done.
        """
        self._now()
        self._pay()
        fresh = self._store.new_state(EmbedderId.of(embedder))
        embed_anew(self._store.state, fresh, embedder, progress)
        fresh.changes, fresh.complete = self._store.state.changes, self._store.state.complete
        self._store.replace(fresh, EmbedderId.of(embedder))

    def stats(self) -> Stats:
        """How it is."""
        now, state = self._now(), self._store.state
        return Stats(
            *(state.records, len(state.tenants), len(state.consents), state.size_bytes),
            *(self._store.log_bytes, state.dropped, max(0.0, now - self._clock()), self._store.cut_bytes),
        )

    def sync(self) -> None:
        """Waits until everything written is on the disk: for the policies that do not."""
        self._store.sync()

    def close(self) -> None:
        """Syncs and lets another process have the folder."""
        self._store.close()

    def _plan(self) -> Plan:
        now = self._now()
        return Plan(self._store.state, self._rules, now, max(0.0, now - self._clock()))

    def _now(self) -> float:
        """The shard's time; drops what is over by it. It never goes back, not even over a restart."""
        self._time = now = max(self._time, self._store.state.floor, self._clock())
        end = self._store.state.next_end()
        if end is not None and end <= now:
            self._expire(self._store.state.due(now))
        if self._store.state.mirror is not None:
            self._store.state.mirror.settle()
        return now

    def _expire(self, over: Sequence[Drop]) -> None:
        self._owed += over
        try:
            self._pay()
        except Unavailable:
            # It is over all the same; the disk hears of it with the next write.
            self._store.state.apply(Batch(self._time, tuple(over)), logged=False)

    def _pay(self) -> None:
        """Writes down what could not be written before."""
        if self._owed:
            self._store.write(self._time, self._owed, urgent=True)
            self._owed = []

    def _write(self, ops: Sequence[Op], *, urgent: bool = False) -> bytes:
        if not ops:
            return b""
        all_ops = [*self._owed, *ops]
        self._time = max(self._time, self._store.state.floor + self._tick_s)
        batch = encode_batch(self._time, all_ops)
        self._log(batch, Batch(self._time, tuple(all_ops)), urgent=urgent)
        self._owed = []
        return batch

    def _log(self, data: bytes, batch: Batch, *, urgent: bool = False) -> None:
        self._store.write_batch(data, batch, urgent=urgent)

    def _tenant(self, tenant: str) -> TenantMemory | None:
        self._now()
        return self._store.state.tenants.get(tenant)

    def _record(self, tenant: str, record_id: str) -> Record:
        """A record with its embedding that may be read. Raises: RecordNotFound, ConsentRequired."""
        self.get(tenant, record_id)
        found = self._store.state.find(tenant, record_id)
        if found is None:
            raise RecordNotFound("There is no record of this id.", param="id")
        return found

    def _readable(self, record: Record) -> bool:
        return self._store.state.consents.allows(record, self._time)

    def _under(self, consent: Consent) -> tuple[str, ...]:
        """Ids of the records kept under a consent."""
        known = self._store.state.tenants.get(consent.tenant)
        if known is None:
            return ()
        records = [known.get(name) for name in known.ids(consent.subject)]
        return tuple(r.id for r in records if r is not None and r.consent == consent.id)
