"""Everything that one shard holds of one tenant, in memory: records by id, columns to filter by, indexes.

Each tenant has indexes of its own, so that nothing of another's records shows in any answer, not even as a
score. Changes here are not durable: `memory.shard` writes them down first. Knows no rule and no clock.
"""

from array import array
from collections.abc import Iterator
from heapq import heappop, heappush

import numpy as np

from zoran_ray.memory.dense import DenseIndex, Mask
from zoran_ray.memory.lexical import LexicalIndex, WordCounts, words
from zoran_ray.memory.record import Layer, Record, decode_body, encode_body
from zoran_ray.memory.search import Candidates, Filter, Query, best

_LAYERS = {layer: number for number, layer in enumerate(Layer)}
_COLUMNS = {"live": "?", "hidden": "?", "layer": "u1", "created": "f8", "subject": "i4", "purpose": "i4"}
MOST_UNREAD_CHARS = 1_000_000
"""Of texts whose words are not in the index yet: what a first word search may have to wait for."""
_UNREAD_CHARS = 32
"""Counted for a text beyond its own, so that short ones are bounded too."""
OVERHEAD_BYTES = 400
"""Of a record's tables and columns, about."""


class Codes:
    """Small numbers for names, given back when the last user of a name is gone."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._uses = array("q")
        self._free: list[int] = []

    def take(self, name: str) -> int:
        """The number of a name, from now on used once more."""
        code = self._codes.get(name)
        if code is None:
            code = self._free.pop() if self._free else len(self._uses)
            if code == len(self._uses):
                self._uses.append(0)
            self._codes[name] = code
        self._uses[code] += 1
        return code

    def give_back(self, name: str) -> None:
        """One use of a name less."""
        code = self._codes[name]
        self._uses[code] -= 1
        if not self._uses[code]:
            del self._codes[name]
            self._free.append(code)

    def known(self, names: tuple[str, ...]) -> list[int]:
        """Numbers of those names that have one."""
        return [self._codes[name] for name in names if name in self._codes]

    def names(self) -> Iterator[str]:
        """Names in use."""
        return iter(self._codes)


class TenantMemory:
    """Records of one tenant.

    Args:
        dimension: Numbers in an embedding.
    """

    def __init__(self, dimension: int) -> None:
        self._slots: dict[str, int] = {}
        self._bodies: list[bytes | None] = []
        self._free: list[int] = []
        self._ids: list[str] = []
        self._columns = {name: np.zeros(0, kind) for name, kind in _COLUMNS.items()}
        self._subjects = Codes()
        self._purposes = Codes()
        self._dense = DenseIndex(dimension)
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
        if record.id in self._slots:
            self.remove(record.id)
        slot = heappop(self._free) if self._free else len(self._bodies)
        if slot == len(self._bodies):
            self._bodies.append(None)
            self._ids.append("")
            if slot >= len(self._columns["live"]):
                self._grow(8 + slot // 2)
        body = encode_body(record) if body is None else body
        self._slots[record.id] = slot
        self._bodies[slot] = body
        self._body_bytes += len(body)
        self._ids[slot] = record.id
        subject, purpose = self._subjects.take(record.subject), self._purposes.take(record.purpose)
        columns = self._columns
        columns["live"][slot], columns["hidden"][slot] = True, hidden
        columns["layer"][slot], columns["created"][slot] = _LAYERS[record.layer], record.created
        columns["subject"][slot], columns["purpose"][slot] = subject, purpose
        self._unread[slot] = record.text
        self._unread_chars += len(record.text) + _UNREAD_CHARS
        if self._unread_chars > MOST_UNREAD_CHARS:
            self._read()
        if record.embedding:
            self._dense.add(slot, record.vector())

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

    def word_counts(self, query: Query) -> WordCounts:
        """What `candidates` has to know of every shard's texts."""
        self._read()
        return self._lexical.counts(words(query.text))

    def candidates(self, query: Query, counts: WordCounts | None = None) -> Candidates:
        """The best by meaning and the best by words.

        Args:
            query: What is asked.
            counts: Word counts of all shards together; None where this is the only one.
        """
        allowed = self._allowed(query.where)
        names = self._ids
        dense: list[tuple[int, float]] = []
        if query.embedding:
            dense = self._dense.search(query.vector(), query.depth, allowed)
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
        if len(where.layers) < len(Layer):
            layers: Mask = np.zeros(len(Layer), np.bool_)
            layers[[_LAYERS[layer] for layer in where.layers]] = True
            allowed &= layers[columns["layer"]]
        if where.subjects is not None:
            allowed &= np.isin(columns["subject"], self._subjects.known(where.subjects))
        if where.purposes is not None:
            allowed &= np.isin(columns["purpose"], self._purposes.known(where.purposes))
        if where.since is not None:
            allowed &= columns["created"] >= where.since
        if where.until is not None:
            allowed &= columns["created"] < where.until
        return allowed
