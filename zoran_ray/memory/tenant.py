"""Everything that one shard holds of one tenant, in memory: records by id, columns to filter by, indexes.

Each tenant has indexes of its own, so that nothing of another's records shows in any answer, not even as a
score. Changes here are not durable: `memory.shard` writes them down first. Knows no rule and no clock.
"""

from array import array
from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush

import numpy as np

from zoran_ray.memory.dense import DenseIndex, Mask
from zoran_ray.memory.lexical import LexicalIndex, WordCounts, words
from zoran_ray.memory.record import Layer, Record, decode_body, encode_body
from zoran_ray.memory.search import Candidates, Filter, Query, best

_LAYERS = {layer: number for number, layer in enumerate(Layer)}
_COLUMNS = {"live": "?", "hidden": "?", "layer": "u1", "created": "f8", "subject": "i4", "purpose": "i4"}
MOST_UNREAD_CHARS = 4_000_000
"""Of texts whose words are not in the index yet: a first word search may have to wait for them, 0.15 s."""
_UNREAD_CHARS = 32
"""Counted for a text beyond its own, so that short ones are bounded too."""
OVERHEAD_BYTES = 400
"""Of a record's tables and columns, about."""


Owned = Callable[[str], bool]
"""Whether a subject's records are counted here and not at another replica. Equal ones decide alike."""


class Codes:
    """Small numbers for names, given back when the last user of a name is gone."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._uses = array("q")
        self._free: list[int] = []
        self._owned: Owned | None = None
        self._flags: Mask = np.zeros(0, np.bool_)
        self._unflagged: set[str] = set()

    def take(self, name: str) -> int:
        """The number of a name, from now on used once more."""
        code = self._codes.get(name)
        if code is None:
            code = self._free.pop() if self._free else len(self._uses)
            if code == len(self._uses):
                self._uses.append(0)
            self._codes[name] = code
            if self._owned is not None:
                self._unflagged.add(name)
        self._uses[code] += 1
        return code

    def give_back(self, name: str) -> None:
        """One use of a name less."""
        code = self._codes[name]
        self._uses[code] -= 1
        if not self._uses[code]:
            del self._codes[name]
            self._free.append(code)
            self._unflagged.discard(name)

    def known(self, names: tuple[str, ...]) -> list[int]:
        """Numbers of those names that have one."""
        return [self._codes[name] for name in names if name in self._codes]

    def flags(self, owned: Owned) -> Mask:
        """For each number whether its name is owned, bool[numbers]; asked once for each name."""
        if owned != self._owned:
            self._owned, self._unflagged = owned, set(self._codes)
        if len(self._flags) < len(self._uses):
            self._flags = np.concatenate([self._flags, np.zeros(len(self._uses), np.bool_)])
        for name in self._unflagged:
            self._flags[self._codes[name]] = owned(name)
        self._unflagged = set()
        return self._flags

    def names(self) -> Iterator[str]:
        """Names in use."""
        return iter(self._codes)


class TenantMemory:
    """Records of one tenant.

    Args:
        dimension: Numbers in an embedding.
        dense: Empty index of its vectors; None for the usual one.
    """

    def __init__(self, dimension: int, dense: DenseIndex | None = None) -> None:
        self._slots: dict[str, int] = {}
        self._bodies: list[bytes | None] = []
        self._free: list[int] = []
        self._ids: list[str] = []
        self._columns = {name: np.zeros(0, kind) for name, kind in _COLUMNS.items()}
        self._subjects = Codes()
        self._purposes = Codes()
        self._dense = DenseIndex(dimension) if dense is None else dense
        self._lexical = LexicalIndex()
        # Words are read at the first word search after a write, many texts at once: half the work.
        self._unread: dict[int, str] = {}
        self._unread_chars = 0
        self._body_bytes = 0

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, record_id: object) -> bool:
        return record_id in self._slots

    @property
    def size_bytes(self) -> int:
        """Bytes of memory, about."""
        own = self._body_bytes + OVERHEAD_BYTES * len(self._slots)
        return own + self._dense.size_bytes + self._lexical.size_bytes + 2 * self._unread_chars

    def add(self, record: Record, body: bytes | None = None, *, hidden: bool = False) -> None:
        """Adds a record, or replaces the one of its id."""
        self.add_all([record], [encode_body(record) if body is None else body], [hidden])

    def add_all(self, records: Sequence[Record], bodies: Sequence[bytes], hidden: Sequence[bool]) -> None:
        """Adds records of different ids, or replaces those that are there: several times faster together.

        Args:
            records: The records.
            bodies: `encode_body` of each.
            hidden: Of each, whether it is kept from being found.
        """
        for record in records:
            if record.id in self._slots:
                self.remove(record.id)
        slots = self._take_slots(len(records))
        for slot, record, body in zip(slots, records, bodies, strict=True):
            self._slots[record.id] = slot
            self._ids[slot] = record.id
            self._bodies[slot] = body
            self._unread[slot] = record.text
        self._body_bytes += sum(map(len, bodies))
        self._unread_chars += sum(len(record.text) for record in records) + _UNREAD_CHARS * len(records)
        columns, subjects, purposes = self._columns, self._subjects, self._purposes
        columns["live"][slots] = True
        columns["hidden"][slots] = hidden
        columns["layer"][slots] = [_LAYERS[record.layer] for record in records]
        columns["created"][slots] = [record.created for record in records]
        columns["subject"][slots] = [subjects.take(record.subject) for record in records]
        columns["purpose"][slots] = [purposes.take(record.purpose) for record in records]
        if self._unread_chars > MOST_UNREAD_CHARS:
            self._read()
        with_vector = [(slot, r.embedding) for slot, r in zip(slots, records, strict=True) if r.embedding]
        if with_vector:
            numbers = np.frombuffer(b"".join([embedding for _, embedding in with_vector]), "<f4")
            vectors = numbers.reshape(len(with_vector), -1)
            self._dense.add_all([slot for slot, _ in with_vector], vectors)

    def _take_slots(self, count: int) -> list[int]:
        """Slots for so many records, free ones first."""
        found = [heappop(self._free) for _ in range(min(count, len(self._free)))]
        start, more = len(self._bodies), count - len(found)
        self._bodies += [None] * more
        self._ids += [""] * more
        if start + more > len(self._columns["live"]):
            self._grow(8 + more + start // 2)
        return found + list(range(start, start + more))

    def remove(self, record_id: str) -> Record | None:
        """Removes a record from everything; the record as it was, None where there is none."""
        record = self.get(record_id)
        if record is None:
            return None
        slot = self._slots.pop(record_id)
        self._body_bytes -= len(self._bodies[slot] or b"")
        self._bodies[slot] = None
        self._ids[slot] = ""
        for column in self._columns.values():
            column[slot] = 0
        self._subjects.give_back(record.subject)
        self._purposes.give_back(record.purpose)
        if self._unread.pop(slot, None) is None:
            self._lexical.remove(slot, record.text)
        else:
            self._unread_chars -= len(record.text) + _UNREAD_CHARS
        self._dense.remove(slot)
        heappush(self._free, slot)
        return record

    def hide(self, record_id: str) -> None:
        """Keeps a record from being found, and from `visible`."""
        self._columns["hidden"][self._slots[record_id]] = True

    def get(self, record_id: str) -> Record | None:
        """A record with its embedding as a unit vector, None where there is none."""
        slot = self._slots.get(record_id)
        if slot is None:
            return None
        vector = self._dense.vector(slot)
        return decode_body(self._bodies[slot] or b"", b"" if vector is None else vector.tobytes())

    def visible(self, record_id: str) -> Record | None:
        """A record without its embedding, None where there is none or it is hidden."""
        slot = self._slots.get(record_id)
        if slot is None or self._columns["hidden"][slot]:
            return None
        return decode_body(self._bodies[slot] or b"")

    def ids(self, subject: str | None = None) -> list[str]:
        """Ids of all records, or of those about one subject; hidden ones too."""
        if subject is None:
            return list(self._slots)
        codes = self._subjects.known((subject,))
        fits = self._columns["live"] & np.isin(self._columns["subject"], codes)
        return [self._ids[slot] for slot in np.flatnonzero(fits)]

    def subjects(self) -> list[str]:
        """Everybody there is a record about."""
        return list(self._subjects.names())

    def word_counts(self, query: Query, owned: Owned | None = None) -> WordCounts:
        """What `candidates` has to know of every shard's texts."""
        self._read()
        return self._lexical.counts(words(query.text), self._owned(owned))

    def candidates(
        self, query: Query, counts: WordCounts | None = None, owned: Owned | None = None
    ) -> Candidates:
        """The best by meaning and the best by words.

        Args:
            query: What is asked.
            counts: Word counts of all shards together; None where this is the only one.
            owned: About whom; None for everybody.
        """
        allowed = self._allowed(query.where)
        if (mine := self._owned(owned)) is not None:
            allowed &= mine
        names = self._ids
        dense: list[tuple[int, float]] = []
        if query.embedding:
            everything = np.count_nonzero(allowed) == len(self._slots)
            dense = self._dense.search(query.vector(), query.depth, None if everything else allowed)
        lexical = self._by_words(query, counts, allowed) if query.text else []
        return Candidates(
            best(((names[slot], score) for slot, score in dense), query.depth),
            best(((names[slot], score) for slot, score in lexical), query.depth),
        )

    def _read(self) -> None:
        """Brings the index of words up to date."""
        self._lexical.add_all(self._unread)
        self._unread.clear()
        self._unread_chars = 0

    def _owned(self, owned: Owned | None) -> Mask | None:
        """For each slot whether its subject is owned; None for all."""
        if owned is None:
            return None
        flags, columns = self._subjects.flags(owned), self._columns
        found: Mask = columns["live"] & flags[columns["subject"]] if len(flags) else columns["live"]
        return found

    def _grow(self, slots: int) -> None:
        for name, column in self._columns.items():
            self._columns[name] = np.concatenate([column, np.zeros(slots, column.dtype)])

    def _by_words(self, query: Query, counts: WordCounts | None, allowed: Mask) -> list[tuple[int, float]]:
        self._read()
        asked = words(query.text)
        scores = self._lexical.scores(asked, counts or self._lexical.counts(asked))
        scores = scores[: len(allowed)] * allowed[: len(scores)]
        found = np.flatnonzero(scores)
        if len(found) > query.depth:
            # All that are as good as the last one stay: their ids decide, not their slots.
            least = np.partition(scores[found], -query.depth)[-query.depth]
            found = found[scores[found] >= least]
        return [(int(slot), float(scores[slot])) for slot in found]

    def _allowed(self, where: Filter) -> Mask:
        columns = self._columns
        allowed: Mask = columns["live"] & ~columns["hidden"]
        for layer, number in _LAYERS.items():
            if layer not in where.layers:
                allowed &= columns["layer"] != number
        if where.subjects is not None:
            allowed &= np.isin(columns["subject"], self._subjects.known(where.subjects))
        if where.purposes is not None:
            allowed &= np.isin(columns["purpose"], self._purposes.known(where.purposes))
        if where.since is not None:
            allowed &= columns["created"] >= where.since
        if where.until is not None:
            allowed &= columns["created"] < where.until
        return allowed
