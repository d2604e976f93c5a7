"""Which layout the settings ask for, and that it survives on disk."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.memory import MemoryDirector, _read, planned
from zoran_ray.errors import StateDamaged, Unavailable
from zoran_ray.memory.placement import Layout, Place
from zoran_ray.memory.rules import rules_of
from zoran_ray.settings import MemorySettings


def settings(**fields):
    return MemorySettings(**fields)


def test_each_node_gets_a_shard():
    layout = planned(None, ("alpha", "beta"), settings())
    assert layout.places == (Place("shard-0", "alpha"), Place("shard-1", "beta"))
    assert layout.copies == 2


def test_one_node_has_one_shard_and_one_copy():
    layout = planned(None, ("alpha",), settings())
    assert layout.places == (Place("shard-0", "alpha"),)
    assert layout.copies == 1


def test_a_node_that_came_gets_a_shard_and_the_others_stay():
    before = planned(None, ("alpha", "beta"), settings())
    after = planned(before, ("alpha", "beta", "gamma"), settings())
    assert after.places == (*before.places, Place("shard-2", "gamma"))


def test_a_node_that_is_away_keeps_its_shard():
    before = planned(None, ("alpha", "beta"), settings())
    assert planned(before, ("alpha",), settings()) == before


def test_one_machine_with_another_address_is_the_same_machine():
    before = planned(None, ("10.0.0.1",), settings(shards=2))
    after = planned(before, ("10.0.0.9",), settings(shards=2))
    assert [place.node for place in after.places] == ["10.0.0.9", "10.0.0.9"]


def test_no_node_is_an_error():
    with pytest.raises(Unavailable):
        planned(None, (), settings())


@given(shards=st.integers(1, 12), nodes=st.integers(1, 6), more=st.integers(0, 4))
def test_shards_are_spread_evenly_and_growth_moves_none(shards, nodes, more):
    names = tuple(f"n{number}" for number in range(nodes))
    layout = planned(None, names, settings(shards=shards))
    used = Counter(place.node for place in layout.places)
    assert max(used.values()) - min(used[name] for name in names) <= 1
    grown = planned(layout, names, settings(shards=shards + more))
    assert grown.places[:shards] == layout.places
    assert len(grown.shards) == shards + more


def test_the_layout_survives_on_disk(tmp_path):
    layout = Layout((Place("shard-0", "alpha"), Place("shard-1", "beta")), 3)
    director = MemoryDirector(tmp_path, settings(), rules_of(None))
    director._write(layout)
    path = tmp_path / "memory" / "layout.json"
    assert _read(path) == layout
    path.write_text("{}")
    with pytest.raises(StateDamaged, match="restore it"):
        _read(path)
    path.unlink()
    assert _read(path) is None
