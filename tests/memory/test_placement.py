"""Laws of placement: adding or removing a shard moves only what it must, and the load is even."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.errors import InvalidRequest
from zoran_ray.memory.placement import ranking, replicas

names = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=["Cc"]), min_size=1, max_size=8
)
groups = st.sets(names, min_size=1, max_size=8)
keys = st.lists(st.tuples(names, names), min_size=1, max_size=30)


@given(groups, names, keys, st.integers(1, 3))
def test_a_new_shard_takes_keys_and_moves_no_other(shards, new, keys, count):
    for tenant, subject in keys:
        before = replicas(tenant, subject, shards - {new}, count) if shards - {new} else ()
        after = replicas(tenant, subject, shards | {new}, count)
        # Whoever keeps it after that kept it before, but for the new one.
        assert set(after) - set(before) <= {new}
        # Who had it and has it no more has been replaced by the new one: one for one.
        assert len(set(before) - set(after)) <= (new in after)
        # The order of the others is as it was: the first choice changes to the new one or not at all.
        assert [s for s in after if s != new] == [s for s in before if s in after]


@given(groups, keys, st.integers(1, 3), st.data())
def test_a_lost_shard_moves_its_own_keys_and_no_other(shards, keys, count, data):
    lost = data.draw(st.sampled_from(sorted(shards)))
    for tenant, subject in keys:
        before = replicas(tenant, subject, shards, count)
        if lost not in before:
            assert replicas(tenant, subject, shards - {lost}, count) == before
        elif len(shards) > 1:
            after = replicas(tenant, subject, shards - {lost}, count)
            assert set(before) - {lost} <= set(after)


@given(groups, names, names, st.randoms())
def test_the_order_of_names_does_not_matter(shards, tenant, subject, random):
    shuffled = sorted(shards)
    random.shuffle(shuffled)
    assert replicas(tenant, subject, shuffled) == replicas(tenant, subject, sorted(shards))
    assert set(ranking(tenant, subject, shuffled)) == shards


def test_a_key_has_two_homes_where_there_are_two():
    assert len(replicas("t", "s", ["a", "b", "c"])) == 2
    assert replicas("t", "s", ["a"]) == ("a",)
    assert len(set(replicas("t", "s", ["a", "a", "b"]))) == 2


def test_where_a_name_ends_matters():
    shards = [f"shard-{i}" for i in range(50)]
    assert ranking("a", "bc", shards) != ranking("ab", "c", shards)


def test_the_load_is_even():
    shards = [f"shard-{i}" for i in range(5)]
    load = Counter(name for i in range(5000) for name in replicas("t", f"s{i}", shards))
    assert max(load.values()) < 1.1 * 2000
    assert min(load.values()) > 0.9 * 2000


def test_a_placement_stays_the_same_from_version_to_version():
    assert ranking("tenant", "subject", ["a", "b", "c", "d"]) == EXPECTED


EXPECTED = ("c", "b", "a", "d")


@pytest.mark.parametrize(("shards", "count"), [([], 2), (["a"], 0)])
def test_placements_that_are_none(shards, count):
    with pytest.raises(InvalidRequest):
        replicas("t", "s", shards, count)


def test_names_are_checked():
    with pytest.raises(InvalidRequest):
        replicas("", "s", ["a"])
    with pytest.raises(InvalidRequest):
        replicas("t", "\ud800", ["a"])
