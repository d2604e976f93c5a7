"""What is asked of the memory, and how ranked lists become one answer.

Hybrid: the best by meaning (cosine) and the best by words (BM25), joined by reciprocal rank fusion. Lists
of several shards are joined before they are fused: the answer is that of one shard which holds all.
Knows neither index nor disk.

Source: Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank
Learning Methods" (SIGIR 2009): the sum of 1 / (60 + rank).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from zoran_ray.errors import InvalidRequest
from zoran_ray.memory.lexical import WordCounts
from zoran_ray.memory.record import MOST_TEXT_BYTES, Layer, Record, Vector, check_name, check_time

RRF_K = 60
MOST_HITS = 200
DEPTH = 4
"""Each list is this many times as long as the answer, so that what is good in both is seen in both."""
LEAST_DEPTH = 50
MOST_NAMES = 1000
"""Most subjects or purposes that one query may name."""

USUAL_LAYERS = frozenset({Layer.SHORT, Layer.LONG})


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records may be found.

    Attributes:
        subjects: About whom; None for anybody of the tenant.
        layers: Where they live. What came from outside is found only where it is asked for.
        purposes: For what they were kept; None for any.
        since: Created at or after this Unix time in seconds.
        until: Created before this Unix time in seconds.

    Raises:
        InvalidRequest: A field is none.
    """

    subjects: tuple[str, ...] | None = field(default=None, repr=False)
    layers: frozenset[Layer] = USUAL_LAYERS
    purposes: tuple[str, ...] | None = None
    since: float | None = None
    until: float | None = None

    def __post_init__(self) -> None:
        for names, param in ((self.subjects, "subject"), (self.purposes, "purpose")):
            if names is not None and len(names) > MOST_NAMES:
                raise InvalidRequest(f"A query names at most {MOST_NAMES} of one kind.", param=param)
            for name in names or ():
                check_name(name, param)
        if not all(isinstance(layer, Layer) for layer in self.layers):
            raise InvalidRequest(f"Layers are {', '.join(Layer)}.", param="layers")
        for time, param in ((self.since, "since"), (self.until, "until")):
            if time is not None:
                check_time(time, param)


@dataclass(frozen=True, slots=True)
class Query:
    """One question to the memory of one tenant.

    Attributes:
        tenant: Whose memory.
        text: Words to find; empty for none.
        embedding: float32[d], little-endian; empty for none.
        limit: Most records wanted.
        where: Which may be found.

    Raises:
        InvalidRequest: A field is none, or neither words nor embedding are given.
    """

    tenant: str
    text: str = field(default="", repr=False)
    embedding: bytes = field(default=b"", repr=False)
    limit: int = 10
    where: Filter = Filter()

    def __post_init__(self) -> None:
        check_name(self.tenant, "tenant")
        if not isinstance(self.text, str) or len(self.text) > MOST_TEXT_BYTES:
            raise InvalidRequest(f"`text` has at most {MOST_TEXT_BYTES} characters.", param="text")
        if not isinstance(self.embedding, bytes) or len(self.embedding) % 4:
            raise InvalidRequest("An embedding is float32, little-endian.", param="embedding")
        if not self.text and not self.embedding:
            raise InvalidRequest("Search for a text, for an embedding, or for both.", param="text")
        wrong = not isinstance(self.limit, int) or isinstance(self.limit, bool)
        if wrong or not 1 <= self.limit <= MOST_HITS:
            raise InvalidRequest(f"`limit` is a number from 1 to {MOST_HITS}.", param="limit")

    def vector(self) -> Vector:
        """Its embedding, float32[d]."""
        return np.frombuffer(self.embedding, "<f4")

    @property
    def depth(self) -> int:
        """How long each ranked list is."""
        return max(LEAST_DEPTH, DEPTH * self.limit)


@dataclass(frozen=True, slots=True)
class Ranked:
    """A record's id and its score in one list; larger is better."""

    id: str
    score: float


@dataclass(frozen=True, slots=True)
class Candidates:
    """What one shard has to offer.

    Attributes:
        dense: Best first, by cosine.
        lexical: Best first, by BM25.
    """

    dense: tuple[Ranked, ...] = ()
    lexical: tuple[Ranked, ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """A record that was found.

    Attributes:
        record: Without its embedding.
        score: The fused score; larger is better.
        cosine: How near it is in meaning; None where it is not among the nearest.
        bm25: How well its words fit; None where they do not.
    """

    record: Record
    score: float
    cosine: float | None
    bm25: float | None


def best(scores: Iterable[tuple[str, float]], depth: int) -> tuple[Ranked, ...]:
    """The `depth` best; equals in the order of their ids, so that every shard orders them alike."""
    ordered = sorted(scores, key=lambda pair: (-pair[1], pair[0]))
    return tuple(Ranked(name, score) for name, score in ordered[:depth])


def merged(shards: Sequence[Candidates], depth: int) -> Candidates:
    """The lists of one shard that holds all; what two replicas both offer counts once."""
    dense = {hit.id: hit.score for shard in shards for hit in shard.dense}
    lexical = {hit.id: hit.score for shard in shards for hit in shard.lexical}
    return Candidates(best(dense.items(), depth), best(lexical.items(), depth))


def fused(found: Candidates, limit: int) -> tuple[Ranked, ...]:
    """Ids by reciprocal rank fusion, best first; of equals the nearer in meaning."""
    scores: dict[str, float] = {}
    for ranking in (found.dense, found.lexical):
        for rank, hit in enumerate(ranking, start=1):
            scores[hit.id] = scores.get(hit.id, 0.0) + 1 / (RRF_K + rank)
    places = {hit.id: place for place, hit in enumerate(found.dense)}
    ordered = sorted(scores, key=lambda name: (-scores[name], places.get(name, len(places)), name))
    return tuple(Ranked(name, scores[name]) for name in ordered[:limit])


def hits(found: Candidates, limit: int, record: Callable[[str], Record | None]) -> list[Hit]:
    """The answer: fused, each with its record; what `record` does not know (any more) is left out."""
    cosines = {hit.id: hit.score for hit in found.dense}
    bm25s = {hit.id: hit.score for hit in found.lexical}
    answer = []
    for ranked in fused(found, limit):
        kept = record(ranked.id)
        if kept is not None:
            answer.append(Hit(kept, ranked.score, cosines.get(ranked.id), bm25s.get(ranked.id)))
    return answer


def total(counts: Iterable[WordCounts]) -> WordCounts:
    """The word counts of all shards together."""
    return sum(counts, WordCounts())
