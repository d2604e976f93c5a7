"""Words of one tenant's texts and their BM25 scores. Knows slots, not what they stand for.

In memory and of our own, because SQLite's FTS5 would count the words of all tenants together (its scores
would tell one tenant about another), and cannot say what a score would be if the texts of other shards
were counted too.

Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), with the
inverse document frequency of Lucene, which is never negative.
"""

import math
import re
import unicodedata
from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count

import numpy as np
import numpy.typing as npt

K1 = 1.2
B = 0.75
MOST_QUERY_WORDS = 64
MOST_WORD_CHARS = 40

_TF_BITS = 6
_MOST_TF = (1 << _TF_BITS) - 1
MOST_SLOTS = 1 << (32 - _TF_BITS)

_WORD = re.compile(r"[^\W_]+")
_PLAIN = bytes(b if chr(b).isalnum() else 32 for b in range(128)) + bytes(128)
"""What is a word of ASCII, as `_WORD` sees it; a table is several times faster."""
_END = "|"
"""Stands between the words of two texts; no word has it."""
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0e7f]")


def words(text: str) -> list[str]:
    """Words of a text as they are searched: without case and accents; scripts without spaces in pairs."""
    if text.isascii():
        return [word[:MOST_WORD_CHARS] for word in _spaced(text).split()]
    text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    found = []
    for word in _WORD.findall(text.casefold()):
        if not word.isascii() and _UNSPACED.search(word):
            found += [word[i : i + 2] for i in range(max(1, len(word) - 1))]
        else:
            found.append(word[:MOST_WORD_CHARS])
    return found


def _spaced(text: str) -> str:
    """Words of a text of ASCII with spaces between them, however long they are."""
    return text.lower().encode().translate(_PLAIN).decode()


def _words_of(texts: Iterable[str]) -> list[str]:
    """`words` of each text, and `_END` after each."""
    parts = [_spaced(text) if text.isascii() else " ".join(words(text)) for text in texts]
    found = f" {_END} ".join([*parts, ""]).split()
    if max(map(len, found), default=0) > MOST_WORD_CHARS:
        found = [word[:MOST_WORD_CHARS] for word in found]
    return found


@dataclass(frozen=True, slots=True)
class WordCounts:
    """What BM25 has to know of a collection; the counts of two shards add up to those of both.

    Attributes:
        texts: How many texts there are.
        length: Words in all of them.
        having: For words of a query, how many texts have them.
    """

    texts: int = 0
    length: int = 0
    having: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: "WordCounts") -> "WordCounts":
        having = Counter(self.having)
        having.update(other.having)
        return WordCounts(self.texts + other.texts, self.length + other.length, dict(having))


class LexicalIndex:
    """For each word the slots whose text has it; 4 bytes each: slot and count packed into one number."""

    def __init__(self) -> None:
        self._having: dict[str, array[int]] = {}
        self._lengths = np.zeros(0, np.float64)
        self._texts = 0
        self._length = 0
        self._postings = 0

    @property
    def size_bytes(self) -> int:
        """Bytes of memory, about."""
        return 4 * self._postings + 200 * len(self._having) + self._lengths.nbytes

    def add(self, slot: int, text: str) -> None:
        """Adds a text under a slot that has none."""
        self.add_all({slot: text})

    def add_all(self, texts: Mapping[int, str]) -> None:
        """Adds many texts, each under a slot that has none: twice as fast as one by one."""
        if not texts:
            return
        slots = np.fromiter(texts, np.int64, len(texts))
        found = _words_of(texts.values())
        numbers: defaultdict[str, int] = defaultdict(count(1).__next__)
        numbers[_END] = 0
        coded = np.fromiter(map(numbers.__getitem__, found), np.int64, len(found))
        del numbers[_END]
        ends = np.flatnonzero(coded == 0)
        lengths = np.diff(ends, prepend=-1) - 1
        coded = coded[coded > 0]
        self._reach(int(slots.max()))
        self._lengths[slots] = lengths
        entries = coded << 32 | np.repeat(slots, lengths)
        entries.sort()
        firsts = np.flatnonzero(np.diff(entries, prepend=0))
        times = np.diff(firsts, append=len(entries))
        entries = entries[firsts]
        packed = ((entries & 0xFFFFFFFF) << _TF_BITS | np.minimum(times, _MOST_TF)).astype(np.uint32)
        stops = np.searchsorted(entries, np.arange(2, len(numbers) + 2, dtype=np.int64) << 32).tolist()
        start = 0
        for word, stop in zip(numbers, stops, strict=True):
            self._extend(word, packed[start:stop])
            start = stop
        self._postings += len(packed)
        self._texts += len(texts)
        self._length += len(coded)

    def _extend(self, word: str, packed: npt.NDArray[np.uint32]) -> None:
        known = self._having.get(word)
        if known is not None and known[-1] > packed[0]:
            packed = np.sort(np.concatenate([np.frombuffer(known, np.uint32), packed]))
            known = None
        if known is None:
            known = self._having[word] = array("I")
        known.frombytes(packed.tobytes())

    def _reach(self, slot: int) -> None:
        more = slot + 8 - len(self._lengths) + slot // 2
        if slot >= len(self._lengths):
            self._lengths = np.concatenate([self._lengths, np.zeros(more)])

    def remove(self, slot: int, text: str) -> None:
        """Removes the text that was added under a slot."""
        found = words(text)
        for word in set(found):
            slots = self._having[word]
            slots.pop(bisect_left(slots, slot << _TF_BITS))
            if not slots:
                del self._having[word]
            self._postings -= 1
        self._lengths[slot] = 0
        self._texts -= 1
        self._length -= len(found)

    def counts(self, query: Iterable[str], mine: npt.NDArray[np.bool_] | None = None) -> WordCounts:
        """What is to be known here about the words of a query.

        Args:
            mine: bool[slots], those that count; None for all.
        """
        found = {word: slots for word in set(query) if (slots := self._having.get(word))}
        if mine is None:
            having = {word: len(slots) for word, slots in found.items()}
            return WordCounts(self._texts, self._length, having)
        lengths = self._lengths[: len(mine)][mine[: len(self._lengths)]]
        having = {
            word: int(np.count_nonzero(mine[np.frombuffer(packed, np.uint32) >> _TF_BITS]))
            for word, packed in found.items()
        }
        return WordCounts(int(np.count_nonzero(mine)), int(lengths.sum()), having)

    def scores(self, query: Iterable[str], counts: WordCounts) -> npt.NDArray[np.float64]:
        """BM25 of every slot, float64[slots]; 0 where it has none of the words.

        Args:
            query: Words, see `words`.
            counts: Of the whole collection, this index being part of it.
        """
        scores = np.zeros(len(self._lengths))
        if not counts.texts:
            return scores
        mean = max(1.0, counts.length / counts.texts)
        for word in sorted(set(query))[:MOST_QUERY_WORDS]:
            if packed := self._having.get(word):
                having = max(counts.having.get(word, 0), len(packed))
                weight = math.log1p((counts.texts - having + 0.5) / (having + 0.5))
                entries = np.frombuffer(packed, np.uint32)
                slots, times = entries >> _TF_BITS, (entries & _MOST_TF).astype(np.float64)
                length = K1 * (1 - B + B / mean * self._lengths[slots])
                scores[slots] += weight * (K1 + 1) * times / (times + length)
        return scores
