"""Beyond `EXACT` vectors: nothing forgotten is found or kept, filters hold, next to nothing is missed."""

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoran_ray.memory import dense
from zoran_ray.memory.dense import DenseIndex
from zoran_ray.memory.sketch import Sketch

RNG = np.random.default_rng(11)


def units(count, dimension, rng=RNG):
    found = rng.standard_normal((count, dimension)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def around(count, dimension, centres):
    """Vectors around a few directions, as embeddings of texts are."""
    found = centres[RNG.integers(0, len(centres), count)] + 0.4 * units(count, dimension)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def best_slots(found, k):
    return [slot for slot, _ in sorted(found, key=lambda pair: -pair[1])[:k]]


def exact(vectors, query, k, allowed=None):
    scores = vectors.astype(np.float64) @ query.astype(np.float64)
    if allowed is not None:
        scores[~allowed] = -2
    return list(np.argsort(-scores)[:k])


def packed(index):
    """The bytes of a sketch that are in use."""
    codes = index._index.codes
    return faiss.rev_swig_ptr(codes.get(), codes.size())


@pytest.fixture
def small(monkeypatch):
    """The same at a hundredth of the size."""
    for name, value in {"EXACT": 1000, "STEP": 64, "LEAST_DEPTH": 200}.items():
        monkeypatch.setattr(dense, name, value)


@pytest.fixture
def index(small):
    vectors = around(6000, 48, units(60, 48))
    made = DenseIndex(48)
    made.add_all(range(6000), vectors)
    for slot, vector in enumerate(vectors[:200]):
        made.remove(slot)
        made.add(slot, vector)
    assert len(made._sketch) > 4000
    return made, vectors


@pytest.mark.parametrize("share", [None, 0.9, 0.3, 0.05, 0.001, 0.0])
def test_recall(index, share):
    made, vectors = index
    allowed = None if share is None else RNG.random(6000) < share
    hits = 0
    for query in vectors[RNG.integers(0, 6000, 40)] + 0.1 * units(40, 48):
        found = made.search(query, 10, allowed)
        assert all(allowed is None or allowed[slot] for slot, _ in found)
        wanted = exact(vectors, query, 10, allowed)[: 10 if allowed is None else int(allowed.sum())]
        hits += len(set(best_slots(found, 10)) & set(wanted)) - len(wanted) + 10
    assert hits >= (400 if share is not None and share < dense.FEW else 392)


def test_scores_are_the_cosines_of_the_flat_search(index):
    made, vectors = index
    flat = DenseIndex(48)
    flat.add_all(range(500), vectors[:500])
    one = dict(made.search(vectors[7], 20))
    assert {
        slot: score for slot, score in flat.search(vectors[7], 20) if slot in one
    }.items() <= one.items()


def test_looking_at_every_candidate_is_the_exact_search(index, monkeypatch):
    made, vectors = index
    monkeypatch.setattr(dense, "SHARE", 1)
    for query in units(20, 48):
        assert best_slots(made.search(query, 10), 10) == exact(vectors, query, 10)


def test_a_filter_that_leaves_out_all_that_is_near_is_exact(index):
    made, vectors = index
    query = vectors[3]
    allowed = np.ones(6000, np.bool_)
    allowed[exact(vectors, query, 3000)] = False
    assert best_slots(made.search(query, 10, allowed), 10) == exact(vectors, query, 10, allowed)


def test_what_was_removed_is_gone_from_every_byte(index):
    made, vectors = index
    kept = set(range(6000))
    for slot in range(0, 6000, 2):
        made.remove(slot)
        kept.discard(slot)
    assert not made._rows[len(made) :].any()
    for query in vectors[:50]:
        assert {slot for slot, _ in made.search(query, 50)} <= kept
    anew = Sketch(vectors[:10])
    anew._centre = made._sketch._centre
    anew._index.pq.centroids = made._sketch._index.pq.centroids
    anew.extend(made._rows[: len(made._sketch)])
    mine, theirs = packed(made._sketch), packed(anew)
    size = min(len(mine), len(theirs))
    assert np.array_equal(mine[:size], theirs[:size])
    assert not mine[size:].any()


def test_a_tenant_that_shrank_has_no_sketch(index):
    made, vectors = index
    for slot in range(5600):
        made.remove(slot)
    assert made._sketch is None
    assert best_slots(made.search(vectors[5700], 1), 1) == [5700]


def test_what_came_last_is_found_at_once(small):
    made = DenseIndex(16)
    for slot, vector in enumerate(units(3000, 16)):
        made.add(slot, vector)
        if slot % 100 == 0:
            assert best_slots(made.search(vector, 1), 1) == [slot]


changes = st.lists(st.tuples(st.sampled_from(["add", "remove"]), st.integers(0, 80)), max_size=30)


@given(changes, st.integers(0, 2**32 - 1), st.sampled_from([5, 12, 520]))
@settings(max_examples=60, deadline=None)
def test_an_index_that_changed_finds_what_a_plain_list_would(told, seed, dimension):
    rng = np.random.default_rng(seed)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"EXACT": 40, "STEP": 4, "LEAST_DEPTH": 200}.items():
            patch.setattr(dense, name, value)
        index, kept = DenseIndex(dimension), {}
        for slot, vector in enumerate(units(70, dimension, rng)):
            index.add(slot, vector)
            kept[slot] = vector
        for what, slot in told:
            if what == "remove":
                index.remove(slot)
                kept.pop(slot, None)
            elif slot not in kept:
                kept[slot] = units(1, dimension, rng)[0]
                index.add(slot, kept[slot])
        slots, vectors = np.array(list(kept)), np.array(list(kept.values()))
        query = units(1, dimension, rng)[0]
        allowed = rng.random(81) < rng.choice([0.05, 0.5, 1.0])
        for mask in (None, allowed):
            fits = np.ones(len(slots), np.bool_) if mask is None else mask[slots]
            wanted = [int(slots[row]) for row in exact(vectors, query, 5, fits)][: int(fits.sum())]
            assert best_slots(index.search(query, 5, mask), 5) == wanted
        assert sorted(index.slots()) == sorted(kept)
        assert all(np.array_equal(index.vector(slot), vector) for slot, vector in kept.items())


@pytest.mark.parametrize("dimension", [1, 7, 384, 700, 1025])
def test_every_dimension_has_a_sketch(dimension):
    vectors = units(300, dimension)
    sketch = Sketch(vectors)
    sketch.extend(vectors[:100])
    sketch.extend(vectors[100:])
    assert len(sketch) == 300
    assert len(sketch.best(vectors[0], 1000)) == 300


def test_vectors_that_are_all_the_same_have_one_too():
    vectors = np.tile(units(1, 16), (300, 1))
    sketch = Sketch(vectors)
    sketch.extend(vectors)
    assert len(sketch.best(vectors[0], 5)) == 5
