"""What a shard knows, in memory: the result of all its operations, in their order.

Live and after a crash the same operations are applied by the same code. Nothing here is durable; nothing
here refuses. Knows no disk and no clock.
"""

from collections.abc import Iterator, Sequence
from heapq import heapify, heappop, heappush
from itertools import groupby

from zoran_ray.memory.changes import CONSENTS, WHOLE, Changes, Mark
from zoran_ray.memory.consent import ConsentBook
from zoran_ray.memory.ops import (
    Batch,
    Complete,
    Drop,
    DropSubject,
    DropTenant,
    Foreign,
    Give,
    Noted,
    Op,
    Put,
    Settled,
    Withdraw,
)
from zoran_ray.memory.qdrant import QdrantMirror
from zoran_ray.memory.record import Record, encode_body
from zoran_ray.memory.rules import MemoryRules, sameness
from zoran_ray.memory.tenant import TenantMemory


class ShardState:
    """Tenants, consents, and what is to be found quickly about them.

    Args:
        dimension: Numbers in an embedding.
        rules: Say which records are the same.
        most_consents: Most consents kept.
        noting: Whether changes are noted for peers.
        mirror: A copy of the vectors elsewhere; None for none.

    Attributes:
        tenants: What is known of each.
        consents: Who agreed to what.
        floor: The latest time in any operation, in seconds: a shard's time never runs backwards.
        records: How many records there are.
        dropped: Records and consents dropped since the state was made: what a compaction would remove.
        changes: What peers may not know yet.
        complete: Whether every peer has told what it knows.
    """

    def __init__(
        self,
        dimension: int,
        rules: MemoryRules,
        most_consents: int = 1_000_000,
        *,
        noting: bool = False,
        mirror: QdrantMirror | None = None,
    ) -> None:
        self.dimension = dimension
        self.mirror = mirror
        self.tenants: dict[str, TenantMemory] = {}
        self.consents = ConsentBook(most_consents)
        self.floor = 0.0
        self.records = 0
        self.dropped = 0
        self.changes = Changes()
        self.complete = False
        self._noting = noting
        self._own = noting
        self._at = 0.0
        self._tenant_bytes = 0
        self._counted: dict[str, int] = {}
        self._rules = rules
        self._same: dict[tuple[str, bytes], str] = {}
        self._rings: dict[tuple[str, str, str], dict[str, None]] = {}
        self._ends: list[tuple[float, str, str]] = []

    @property
    def size_bytes(self) -> int:
        """Bytes of memory, about."""
        tables = 150 * (len(self._same) + len(self._ends)) + 800 * len(self.consents)
        return tables + self._tenant_bytes

    def apply(self, batch: Batch, *, logged: bool = True) -> None:
        """Does what a batch says.

        Args:
            logged: It is in the log, so that its number is the same after a crash.
        """
        self.floor = max(self.floor, batch.at)
        self.changes.number += logged
        self._at = batch.at
        self._own = self._noting and not (batch.ops and isinstance(batch.ops[0], Foreign))
        for kind, ops in groupby(batch.ops, type):
            if kind is Put:
                self._put_all([op for op in ops if isinstance(op, Put)])
                continue
            for op in ops:
                self._apply(op)
        for name in {_tenant_of(op) for op in batch.ops}:
            self._count(name)

    def find(self, tenant: str, record_id: str) -> Record | None:
        """A record with its embedding, hidden or not."""
        known = self.tenants.get(tenant)
        return None if known is None else known.get(record_id)

    def same_as(self, tenant: str, key: bytes) -> str | None:
        """Id of the record that says the same, if there is one; for the key see `rules.sameness`."""
        return self._same.get((tenant, key))

    def ring(self, record: Record) -> list[str]:
        """Ids of the short records of a record's conversation, oldest first."""
        return list(self._rings.get(_ring(record), ()))

    def due(self, now: float) -> list[Drop]:
        """Takes what is over out of the queue of ends; whoever asks must drop it."""
        over: dict[str, list[str]] = {}
        while self._ends and self._ends[0][0] <= now:
            _, tenant, record_id = heappop(self._ends)
            record = self.find(tenant, record_id)
            # A record may have been dropped or kept for longer since.
            if record is not None and record.ends is not None and record.ends <= now:
                over.setdefault(tenant, []).append(record_id)
        return [Drop(tenant, tuple(dict.fromkeys(ids))) for tenant, ids in over.items()]

    def next_end(self) -> float | None:
        """When something may be over, Unix time in seconds; None for never."""
        return self._ends[0][0] if self._ends else None

    def all_records(self) -> Iterator[Record]:
        """Every record with its embedding."""
        for tenant in self.tenants.values():
            for record_id in tenant.ids():
                if (record := tenant.get(record_id)) is not None:
                    yield record

    def subjects(self, tenant: str) -> set[str]:
        """Everybody of whom a tenant has a record or a consent."""
        known = self.tenants.get(tenant)
        return {*(known.subjects() if known else ()), *self.consents.subjects(tenant)}

    def _note(self, tenant: str, subject: str, what: str) -> None:
        if self._own:
            self.changes.note(tenant, subject, what, self._at)

    def _count(self, name: str) -> None:
        """Counts a tenant's memory anew."""
        tenant, before = self.tenants.get(name), self._counted.pop(name, 0)
        now = 0 if tenant is None else tenant.size_bytes
        if tenant is not None:
            self._counted[name] = now
        self._tenant_bytes += now - before

    def _apply(self, op: Op) -> None:
        match op:
            case Put():
                self._put_all([op])
            case Drop(tenant, ids):
                for record_id in ids:
                    self._drop(tenant, record_id)
            case DropSubject(tenant, subject):
                self._note(tenant, subject, WHOLE)
                self._drop_all(tenant, subject)
                self.consents.forget_subject(tenant, subject)
                self.dropped += 1
            case DropTenant(tenant):
                for subject in self.subjects(tenant):
                    self._note(tenant, subject, WHOLE)
                self._drop_all(tenant, None)
                self.consents.forget_tenant(tenant)
                self.dropped += 1
            case Give(consent):
                self._note(consent.tenant, consent.subject, CONSENTS)
                self.consents.keep(consent)
            case Withdraw(tenant, consent_id, at):
                self._withdraw(tenant, consent_id, at)
            case Settled(peer, folder, number):
                self.changes.mark(peer, Mark(folder, number))
            case Noted(number, rows):
                self.changes.restore(number, rows)
            case Complete():
                self.complete = True
            case Foreign():
                pass  # `apply` has seen it

    def _put_all(self, ops: Sequence[Put]) -> None:
        """Does many at once; where an id comes twice, one by one."""
        if len(ops) > 1 and len({(op.record.tenant, op.record.id) for op in ops}) < len(ops):
            for op in ops:
                self._put_all([op])
            return
        of_tenant: dict[str, list[Put]] = {}
        for op in ops:
            record = op.record
            self._drop(record.tenant, record.id, replaced=True)
            self._note(record.tenant, record.subject, record.id)
            if (key := op.same or sameness(record, self._rules)) is not None:
                self._same[(record.tenant, key)] = record.id
            if record.conversation:
                self._rings.setdefault(_ring(record), {})[record.id] = None
            of_tenant.setdefault(record.tenant, []).append(op)
        for name, puts in of_tenant.items():
            self._add(name, puts)
        self.records += len(ops)
        for op in ops:
            if op.record.ends is not None:
                self._expect(op.record.ends, op.record)

    def _add(self, name: str, ops: Sequence[Put]) -> None:
        """Adds records to their tenant."""
        tenant = self.tenants.get(name)
        if tenant is None:
            dense = None if self.mirror is None else self.mirror.index(name)
            tenant = self.tenants[name] = TenantMemory(self.dimension, dense)
        bodies = [encode_body(op.record) if op.body is None else op.body for op in ops]
        tenant.add_all([op.record for op in ops], bodies, [self._hidden(op.record) for op in ops])

    def _hidden(self, record: Record) -> bool:
        consent = self.consents.find(record.tenant, record.consent) if record.consent else None
        return consent is not None and consent.withdrawn is not None

    def _expect(self, end: float, record: Record) -> None:
        heappush(self._ends, (end, record.tenant, record.id))
        if len(self._ends) > 2 * self.records + 1000:
            known = ((r.ends, r.tenant, r.id) for r in self.all_records())
            self._ends = [(end, tenant, name) for end, tenant, name in known if end is not None]
            heapify(self._ends)

    def _drop(self, tenant: str, record_id: str, *, replaced: bool = False, noted: bool = False) -> None:
        known = self.tenants.get(tenant)
        record = None if known is None else known.remove(record_id)
        if known is None or record is None:
            return
        if not replaced and not noted:
            self._note(tenant, record.subject, record_id)
        if not known and not replaced:
            del self.tenants[tenant]
        self.records -= 1
        self.dropped += 1
        key = sameness(record, self._rules)
        if key is not None and self._same.get((tenant, key)) == record_id:
            del self._same[(tenant, key)]
        ring = self._rings.get(_ring(record))
        if ring is not None:
            ring.pop(record_id, None)
            if not ring:
                del self._rings[_ring(record)]

    def _drop_all(self, tenant: str, subject: str | None) -> None:
        known = self.tenants.get(tenant)
        for record_id in [] if known is None else known.ids(subject):
            self._drop(tenant, record_id, noted=True)

    def _withdraw(self, tenant: str, consent_id: str, at: float) -> None:
        self.consents.withdraw(tenant, consent_id, at)
        known, consent = self.tenants.get(tenant), self.consents.find(tenant, consent_id)
        if consent is not None:
            self._note(tenant, consent.subject, CONSENTS)
        if known is None or consent is None:
            return
        for record_id in known.ids(consent.subject):
            record = known.get(record_id)
            if record is not None and record.consent == consent_id:
                known.hide(record_id)


def _tenant_of(op: Op) -> str:
    match op:
        case Put(record):
            return record.tenant
        case Give(consent):
            return consent.tenant
        case Foreign() | Complete() | Settled() | Noted():
            return ""
        case _:
            return op.tenant


def _ring(record: Record) -> tuple[str, str, str]:
    return record.tenant, record.subject, f"{record.layer}:{record.conversation}"
