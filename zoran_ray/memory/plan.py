"""What a write of records comes to: which operations, after minimisation, consent, rules and merging.

Pure but for what it reads of the state: nothing changes until the operations are applied. Later records of
one write see the earlier ones.
"""

from collections.abc import Sequence

from zoran_ray.errors import ConsentRequired, InvalidRequest, Unavailable
from zoran_ray.memory import rules as laws
from zoran_ray.memory.answers import Stored
from zoran_ray.memory.consent import minimised
from zoran_ray.memory.ops import Drop, Op, Put
from zoran_ray.memory.record import Layer, Record, changed, earlier, encode_body
from zoran_ray.memory.state import ShardState
from zoran_ray.memory.units import are_unit, unit

_GIVEN = ("subject", "text", "purpose", "created", "source", "consent")


class Plan:
    """Operations for one write.

    Args:
        state: What is known.
        rules: The rules.
        now: The shard's time, in seconds.
        behind_s: How far the machine's clock is behind the shard's time, in seconds.
    """

    def __init__(
        self, state: ShardState, rules: laws.MemoryRules, now: float, behind_s: float = 0.0
    ) -> None:
        self._state = state
        self._rules = rules
        self._purposes = rules.purposes
        self._now = now
        self._behind_s = behind_s
        self._puts: dict[tuple[str, str], Record] = {}
        self._keys: dict[tuple[str, str], bytes | None] = {}
        self._drops: dict[tuple[str, str], None] = {}
        self._same: dict[tuple[str, bytes], str] = {}

    def add_all(self, sent: Sequence[Record]) -> tuple[Stored, ...]:
        """Takes records into the write, one after the other.

        Raises:
            InvalidRequest: Its purpose is not known, its id is taken, its embedding has another dimension,
                or it is over already.
            PermissionDenied, ConsentRequired: It may not be kept.
            Unavailable: It is over by the shard's time, but the machine's clock is behind.
        """
        whole = are_unit([record.embedding for record in sent], self._state.dimension)
        return tuple(map(self._add, sent, whole))

    def _add(self, sent: Record, is_unit: bool) -> Stored:
        record = self._prepared(sent, is_unit)
        known = self._find(record.tenant, record.id)
        if known is not None:
            self._check_repeated(known, record)
            return Stored(known.id, known.layer)
        if record.ends is not None and record.ends <= self._now:
            raise self._over(record.ends)
        key = laws.sameness(record, self._rules)
        twin = self._twin(record, key)
        if twin is None:
            self._put(record, key)
            return Stored(record.id, record.layer)
        better = self._allowed_move(laws.merged(twin, record, self._rules))
        if better != twin:
            self._put(better, key)
        return Stored(twin.id, better.layer, merged=True)

    def confirm(self, record: Record) -> Stored:
        """The user says that a record is true."""
        better = self._allowed_move(changed(record, confirmed=True))
        if better != record:
            self._put(better, laws.sameness(better, self._rules))
        return Stored(record.id, better.layer)

    def promote(self, record: Record) -> Stored:
        """Somebody who may moves a record on. Raises: PermissionDenied, ConsentRequired: It may not be."""
        better = laws.promoted(record, self._rules, self._now)
        if record.consent:
            self._state.consents.check(better, self._now)
        key = laws.sameness(better, self._rules)
        twin = self._twin(better, key)
        if twin is None or twin.id == record.id:
            self._put(better, key)
            return Stored(record.id, better.layer)
        self._drops[(record.tenant, record.id)] = None
        self._put(self._allowed_move(laws.merged(twin, better, self._rules)), key)
        return Stored(twin.id, twin.layer, merged=True)

    def ops(self) -> list[Op]:
        """The operations, the oldest of full rings dropped."""
        self._shorten_rings()
        dropped: dict[str, list[str]] = {}
        for tenant, record_id in self._drops:
            dropped.setdefault(tenant, []).append(record_id)
        drops: list[Op] = [Drop(tenant, tuple(ids)) for tenant, ids in dropped.items()]
        return [*drops, *(Put(r, self._keys[key], encode_body(r)) for key, r in self._puts.items())]

    def _prepared(self, sent: Record, is_unit: bool) -> Record:
        begun = laws.entered(sent, self._rules, self._now)
        rule = self._purposes[begun.purpose]
        record = minimised(begun, rule)
        if record.embedding and not is_unit:
            vector = unit(record.vector(), self._state.dimension)
            record = changed(record, embedding=vector.astype("<f4").tobytes())
        if not record.text and not record.embedding:
            raise InvalidRequest(
                f"Of this record nothing may be kept for the purpose {record.purpose!r}.", param="text"
            )
        if record.consent:
            consent = self._state.consents.check(record, self._now)
            return changed(record, expires=earlier(record.expires, consent.expires))
        if rule.consent == "required":
            raise ConsentRequired(
                f"The purpose {record.purpose!r} needs a consent. Record one and name it.", param="consent"
            )
        return record

    def _check_repeated(self, known: Record, record: Record) -> None:
        """A write may come twice; another record under the same id may not."""
        if any(getattr(known, name) != getattr(record, name) for name in _GIVEN):
            raise InvalidRequest(
                "Another record has this id. Choose a new one, or forget that.", param="id"
            )

    def _over(self, end: float) -> InvalidRequest | Unavailable:
        if self._behind_s > 0 and end > self._now - self._behind_s:
            return Unavailable(
                f"The clock of this machine is {self._behind_s:.0f} s behind the latest time that this"
                " shard has seen, and by that time the record is over. Set the clock right.",
                retry_after_s=self._behind_s,
            )
        return InvalidRequest("This record is over already: it would end in the past.", param="expires")

    def _allowed_move(self, record: Record) -> Record:
        """The record where the rules want it, unless its consent does not reach there."""
        better = laws.moved(record, self._rules, self._now)
        if better.consent and not self._state.consents.allows(better, self._now):
            return record
        return better

    def _find(self, tenant: str, record_id: str) -> Record | None:
        return self._puts.get((tenant, record_id)) or self._state.find(tenant, record_id)

    def _twin(self, record: Record, key: bytes | None) -> Record | None:
        if key is None:
            return None
        found = self._same.get((record.tenant, key)) or self._state.same_as(record.tenant, key)
        return None if found is None else self._find(record.tenant, found)

    def _put(self, record: Record, key: bytes | None) -> None:
        self._puts[(record.tenant, record.id)] = record
        self._keys[(record.tenant, record.id)] = key
        if key is not None:
            self._same[(record.tenant, key)] = record.id

    def _shorten_rings(self) -> None:
        rings: dict[tuple[str, str, Layer, str], list[Record]] = {}
        for r in self._puts.values():
            if r.conversation and self._rules.layers[r.layer].ring is not None:
                rings.setdefault((r.tenant, r.subject, r.layer, r.conversation), []).append(r)
        for records in rings.values():
            self._shorten(records)

    def _shorten(self, records: list[Record]) -> None:
        """Drops the oldest of one ring: of those that are there, then of those that come."""
        tenant, most = records[0].tenant, self._rules.layers[records[0].layer].ring or 0
        coming = {record.id: None for record in records}
        there = [name for name in self._state.ring(records[0]) if name not in coming]
        for name in [*there, *coming][: max(0, len(there) + len(coming) - most)]:
            if name in coming:
                del self._puts[(tenant, name)]
            else:
                self._drops[(tenant, name)] = None
