"""Search is exact: dense as FAISS has it, words as BM25 has it, and on shards as on one."""

import math
from collections import Counter

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoran_ray.errors import InvalidRequest
from zoran_ray.memory import tenant
from zoran_ray.memory.dense import DenseIndex
from zoran_ray.memory.embedder import EmbedderId, HashedNgrams
from zoran_ray.memory.lexical import LexicalIndex, WordCounts, words
from zoran_ray.memory.placement import replicas
from zoran_ray.memory.record import Layer, embedding_bytes
from zoran_ray.memory.search import Candidates, Filter, Query, Ranked, fused, hits, merged, total
from zoran_ray.memory.units import unit

RNG = np.random.default_rng(7)


def units(count, dimension):
    found = RNG.standard_normal((count, dimension)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def best_slots(index, query, k, allowed=None):
    found = sorted(index.search(query, k, allowed), key=lambda pair: -pair[1])
    return [slot for slot, _ in found[:k]]


# Dense


@pytest.mark.parametrize("share", [None, 0.9, 0.3, 0.05, 0.001, 0.0])
def test_recall_is_one(share):
    vectors, queries = units(3000, 48), units(20, 48)
    index = DenseIndex(48)
    for slot, vector in enumerate(vectors):
        index.add(slot, vector)
    allowed = None if share is None else RNG.random(3000) < share
    kept = np.arange(3000) if allowed is None else np.flatnonzero(allowed)
    flat = faiss.IndexFlatIP(48)
    flat.add(vectors[kept])
    for query in queries:
        wanted = [int(kept[i]) for i in flat.search(query[None], 10)[1][0] if i >= 0]
        assert best_slots(index, query, 10, allowed) == wanted


def test_after_removals_the_rest_is_found_and_the_room_given_back():
    vectors = units(500, 16)
    index = DenseIndex(16)
    for slot, vector in enumerate(vectors):
        index.add(slot, vector)
    size = index.size_bytes
    for slot in range(0, 480):
        index.remove(slot)
        index.remove(slot)
    assert len(index) == 20
    assert index.size_bytes < size / 3
    for slot in range(480, 500):
        assert best_slots(index, vectors[slot], 1) == [slot]
        assert np.array_equal(index.vector(slot), vectors[slot])
    assert index.vector(0) is None


def test_unit_vectors_stay_as_they_are_to_the_last_bit_or_nearly():
    for vector in units(50, 384):
        assert np.allclose(unit(vector, 384), vector, atol=1e-7)


@pytest.mark.parametrize("numbers", [[1.0], [0.0] * 4, [math.nan] * 4, [math.inf] * 4])
def test_vectors_without_direction(numbers):
    with pytest.raises(InvalidRequest):
        unit(np.array(numbers, np.float32), 4)


# Words


def test_words():
    assert words("Déjà vu, ÉTÉ_42!") == ["deja", "vu", "ete", "42"]
    assert words("日本語") == ["日本", "本語"]
    assert words("語") == ["語"]
    assert words("… !") == []
    assert words("x" * 1000) == ["x" * 40]


TEXTS = ["green tea", "tea and tea", "a bridge", "green bridge over green water", ""]


def plain_bm25(texts, query):
    """The formula as it is written."""
    split = [words(text) for text in texts]
    mean = sum(map(len, split)) / len(split)
    scores = []
    for said in split:
        score = 0.0
        for word in set(words(query)):
            having = sum(word in other for other in split)
            weight = math.log(1 + (len(split) - having + 0.5) / (having + 0.5))
            times = said.count(word)
            score += weight * times * 2.2 / (times + 1.2 * (0.25 + 0.75 * len(said) / mean))
        scores.append(score)
    return scores


@pytest.mark.parametrize("query", ["tea", "green tea", "water bridge tea", "nothing", "tea tea"])
def test_bm25(query):
    index = LexicalIndex()
    for slot, text in enumerate(TEXTS):
        index.add(slot, text)
    asked = words(query)
    found = index.scores(asked, index.counts(asked))[: len(TEXTS)]
    assert found == pytest.approx(plain_bm25(TEXTS, query))


said = st.lists(st.sampled_from(["tea", "green", "bridge", "anna", "over"]), max_size=6).map(" ".join)


@given(st.lists(st.tuples(st.integers(0, 5), said), max_size=20), said)
def test_an_index_that_changed_is_as_one_made_anew(changes, query):
    index, kept = LexicalIndex(), {}
    for slot, text in changes:
        if slot in kept:
            index.remove(slot, kept.pop(slot))
        else:
            index.add(slot, text)
            kept[slot] = text
    anew = LexicalIndex()
    for slot, text in kept.items():
        anew.add(slot, text)
    asked = words(query)
    assert index.counts(asked) == anew.counts(asked)
    mine, theirs = (list(i.scores(asked, i.counts(asked))[:6]) for i in (index, anew))
    assert mine + [0.0] * (6 - len(mine)) == theirs + [0.0] * (6 - len(theirs))


@given(st.lists(st.one_of(said, st.text(max_size=60)), max_size=8), st.integers(0, 8))
def test_texts_may_come_together_and_in_any_order(texts, cut):
    numbered = dict(enumerate(texts))
    index = LexicalIndex()
    index.add_all(dict(list(numbered.items())[cut:]))
    index.add_all(dict(list(numbered.items())[:cut]))
    having = {}
    for slot, text in numbered.items():
        for word, times in Counter(words(text)).items():
            having.setdefault(word, []).append((slot, times))
    unpacked = {word: [(n >> 6, n & 63) for n in slots] for word, slots in index._having.items()}
    assert unpacked == having
    assert index.counts([]) == WordCounts(len(texts), sum(len(words(text)) for text in texts))


def test_many_texts_do_not_wait_for_a_search(monkeypatch, lab):
    monkeypatch.setattr(tenant, "MOST_UNREAD_CHARS", 500)
    shard = lab.open()
    for number in range(50):
        shard.put([lab.record(f"number {number}")])
        assert shard._store.state.tenants["t"]._unread_chars <= 500
    assert shard.search(Query("t", "17"))[0].record.text == "number 17"


@pytest.mark.parametrize("length", [1.0, 1.0 + 1e-6, 1.0 - 1e-6, 3.0, 1e-10, 1e10])
def test_unit_vectors_stay_as_they_are(length):
    vector = np.random.default_rng(0).standard_normal(384)
    vector = (length * vector / np.linalg.norm(vector)).astype(np.float32)
    found = unit(vector, 384)
    assert (found is vector) == (length == 1.0)
    assert float(np.linalg.norm(found.astype(np.float64))) == pytest.approx(1.0, abs=2.5e-7)
    assert unit(found, 384) is found


def test_counts_add_up():
    one, other = WordCounts(1, 2, {"a": 1}), WordCounts(3, 4, {"a": 2, "b": 1})
    assert total([one, other]) == WordCounts(4, 6, {"a": 3, "b": 1})


# Together


def test_fusion_is_the_sum_of_reciprocal_ranks():
    found = Candidates((Ranked("a", 0.9), Ranked("b", 0.8)), (Ranked("b", 7.0), Ranked("c", 3.0)))
    assert fused(found, 10) == (
        Ranked("b", 1 / 62 + 1 / 61),
        Ranked("a", 1 / 61),
        Ranked("c", 1 / 62),
    )
    assert [r.id for r in fused(found, 1)] == ["b"]


def test_two_replicas_count_once():
    found = Candidates((Ranked("a", 0.9),), (Ranked("a", 7.0),))
    assert merged([found, found], 10) == found


def test_what_is_gone_meanwhile_is_left_out():
    assert hits(Candidates((Ranked("a", 0.9),)), 10, {}.get) == []


def everything_on(lab, shards, records, query):
    """The answer of several shards, asked as an actor asks them."""
    names = [f"shard-{i}" for i in range(shards)]
    opened = {name: lab.open(lab.folder.parent / f"{shards}-{name}") for name in names}
    for record in records:
        (home,) = replicas(record.tenant, record.subject, names, 1)
        opened[home].put([record])
    counts = total(shard.word_counts(query) for shard in opened.values())
    found = merged([shard.candidates(query, counts) for shard in opened.values()], query.depth)
    wanted = [ranked.id for ranked in fused(found, query.limit)]
    kept = {}
    for shard in opened.values():
        kept |= shard.records(query.tenant, wanted)
        shard.close()
    return hits(found, query.limit, kept.get)


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("tu"), said.filter(bool)), max_size=25),
    said.filter(bool),
    st.integers(2, 4),
    st.booleans(),
)
@settings(max_examples=40)
def test_shards_answer_as_one(new_lab, told, question, shards, filtered):
    lab = new_lab()
    records = [lab.record(text, tenant=tenant, subject=subject) for subject, tenant, text in told]
    where = Filter(subjects=("a", "b", "c")) if filtered else Filter()
    query = Query("t", question, lab.record(question).embedding, 5, where)
    assert everything_on(lab, shards, records, query) == everything_on(lab, 1, records, query)


def test_many_vectors_on_shards_answer_as_one(new_lab):
    lab = new_lab()
    vectors = units(600, 32)
    records = [
        lab.record(f"note {i}", subject=f"s{i % 37}", embedding=embedding_bytes(vector))
        for i, vector in enumerate(vectors)
    ]
    for direction in units(5, 32):
        query = Query("t", "", embedding_bytes(direction), 10)
        one = everything_on(lab, 1, records, query)
        assert one == everything_on(lab, 3, records, query)
        order = np.argsort(-(vectors.astype(np.float64) @ direction.astype(np.float64)))[:10]
        assert [hit.record.text for hit in one] == [f"note {i}" for i in order]
        for folder in lab.folder.parent.iterdir():
            for path in folder.iterdir():
                path.unlink()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Query("t"),
        lambda: Query("", "x"),
        lambda: Query("t", "x", limit=0),
        lambda: Query("t", "x", limit=201),
        lambda: Query("t", "x", limit=True),
        lambda: Query("t", "x" * 100_000),
        lambda: Query("t", "", b"123"),
        lambda: Query("t", None),
        lambda: Filter(subjects=("",)),
        lambda: Filter(subjects=("s",) * 1001),
        lambda: Filter(since=math.nan),
        lambda: Filter(layers=frozenset({"short"})),
    ],
)
def test_questions_that_are_none(make):
    with pytest.raises(InvalidRequest):
        make()


def test_outside_text_is_found_only_by_those_who_ask():
    assert Filter().layers == {Layer.SHORT, Layer.LONG}


def test_a_question_is_not_shown():
    assert "pin" not in repr(Query("t", "my pin", where=Filter(subjects=("my pin",))))


# Embedder


def test_hashed_ngrams():
    embedder = HashedNgrams(64)
    tea, teas, bridge = embedder.embed(["green tea", "green teas", "bridge over water"])
    assert float(tea @ teas) > 0.6 > 0.4 > float(tea @ bridge)
    again = embedder.embed(["green tea", ""])
    assert np.array_equal(again[0], tea)
    assert np.linalg.norm(again, axis=1) == pytest.approx([1.0, 1.0])
    assert embedder.embed([]).shape == (0, 64)
    assert EmbedderId.of(embedder) != EmbedderId.of(HashedNgrams(65))


@pytest.mark.parametrize("dimension", [0, -1, 8193])
def test_dimensions_that_are_none(dimension):
    with pytest.raises(InvalidRequest):
        HashedNgrams(dimension)


def test_of_equally_good_ones_the_nearer_in_meaning_comes_first():
    found = Candidates(
        dense=(Ranked("z", 0.9), Ranked("a", 0.1)), lexical=(Ranked("a", 2.0), Ranked("z", 1.0))
    )
    assert [ranked.id for ranked in fused(found, 2)] == ["z", "a"]
