"""What a shard knows, in memory: the result of all its operations, in their order.

Live and after a crash the same operations are applied by the same code. Nothing here is durable; nothing
here refuses. Knows no disk and no clock.
"""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush

from zoran_ray.memory.consent import ConsentBook
from zoran_ray.memory.ops import Batch, Drop, DropSubject, DropTenant, Give, Op, Put, Withdraw
from zoran_ray.memory.record import Record
from zoran_ray.memory.rules import MemoryRules, sameness
from zoran_ray.memory.tenant import TenantMemory


class ShardState:
    """Tenants, consents, and what is to be found quickly about them.

    Args:
        dimension: Numbers in an embedding.
        rules: Say which records are the same.
        most_consents: Most consents kept.

    Attributes:
        tenants: What is known of each.
        consents: Who agreed to what.
        floor: The latest time in any operation, in seconds: a shard's time never runs backwards.
        records: How many records there are.
        dropped: Records and consents dropped since the state was made: what a compaction would remove.
    """

    def __init__(self, dimension: int, rules: MemoryRules, most_consents: int = 1_000_000) -> None:
        self.dimension = dimension
        self.tenants: dict[str, TenantMemory] = {}
        self.consents = ConsentBook(most_consents)
        self.floor = 0.0
        self.records = 0
        self.dropped = 0
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

    def apply(self, batch: Batch) -> None:
        """Does what a batch says."""
        self.floor = max(self.floor, batch.at)
        for op in batch.ops:
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
                self._put(op)
            case Drop(tenant, ids):
                for record_id in ids:
                    self._drop(tenant, record_id)
            case DropSubject(tenant, subject):
                self._drop_all(tenant, subject)
                self.consents.forget_subject(tenant, subject)
                self.dropped += 1
            case DropTenant(tenant):
                self._drop_all(tenant, None)
                self.consents.forget_tenant(tenant)
                self.dropped += 1
            case Give(consent):
                self.consents.keep(consent)
            case Withdraw(tenant, consent_id, at):
                self._withdraw(tenant, consent_id, at)

    def _put(self, op: Put) -> None:
        record = op.record
        self._drop(record.tenant, record.id, replaced=True)
        consent = self.consents.find(record.tenant, record.consent) if record.consent else None
        hidden = consent is not None and consent.withdrawn is not None
        tenant = self.tenants.get(record.tenant)
        if tenant is None:
            tenant = self.tenants[record.tenant] = TenantMemory(self.dimension)
        tenant.add(record, op.body, hidden=hidden)
        self.records += 1
        if (key := op.same or sameness(record, self._rules)) is not None:
            self._same[(record.tenant, key)] = record.id
        if record.conversation:
            self._rings.setdefault(_ring(record), {})[record.id] = None
        if record.ends is not None:
            self._expect(record.ends, record)

    def _expect(self, end: float, record: Record) -> None:
        heappush(self._ends, (end, record.tenant, record.id))
        if len(self._ends) > 2 * self.records + 1000:
            known = ((r.ends, r.tenant, r.id) for r in self.all_records())
            self._ends = [(end, tenant, name) for end, tenant, name in known if end is not None]
            heapify(self._ends)

    def _drop(self, tenant: str, record_id: str, *, replaced: bool = False) -> None:
        known = self.tenants.get(tenant)
        record = None if known is None else known.remove(record_id)
        if known is None or record is None:
            return
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
            self._drop(tenant, record_id)

    def _withdraw(self, tenant: str, consent_id: str, at: float) -> None:
        self.consents.withdraw(tenant, consent_id, at)
        known, consent = self.tenants.get(tenant), self.consents.find(tenant, consent_id)
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
        case _:
            return op.tenant


def _ring(record: Record) -> tuple[str, str, str]:
    return record.tenant, record.subject, f"{record.layer}:{record.conversation}"
