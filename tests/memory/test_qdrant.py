"""A copy of a shard's vectors in Qdrant: against the official client's local mode, not against a server."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from qdrant_client import QdrantClient, models

from tests.memory.conftest import EMBEDDER, RULES
from zoran_ray.errors import ConfigError, Unavailable
from zoran_ray.memory.dense import DenseIndex
from zoran_ray.memory.embedder import EmbedderId, HashedNgrams
from zoran_ray.memory.qdrant import REST_S, QdrantMirror
from zoran_ray.memory.qdrant_connection import connect, mirrors
from zoran_ray.memory.search import Query
from zoran_ray.memory.shard import MemoryShard
from zoran_ray.settings import MemorySettings

pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant"),
    pytest.mark.filterwarnings("ignore:Local mode performs exact"),
]

ID = EmbedderId("e", 8)
ASKING = ("query_points", "delete", "upsert", "scroll", "get_collections")


class Away(QdrantClient):
    """A client whose server can be away; counts the questions."""

    def __init__(self, *args, **kwargs):
        self.away, self.asked = False, 0
        super().__init__(*args, **kwargs)

    def __getattribute__(self, name):
        found = super().__getattribute__(name)
        return partial(self._ask, found) if name in ASKING else found

    def _ask(self, question, *args, **kwargs):
        self.asked += 1
        if self.away:
            raise OSError("connection refused to https://user:secret@qdrant")
        return question(*args, **kwargs)


class Copy:
    """A shard's copy and one tenant's index."""

    def __init__(self, client=None, shard="0123", embedder=ID):
        self.now = 0.0
        self.client = client or Away(":memory:")
        self.mirror = QdrantMirror(self.client, shard, embedder, lambda: self.now, least=0)
        self.index = self.mirror.index("anna's company")

    def points(self):
        found, _ = self.client.scroll(self.mirror.name, limit=10_000, with_payload=True, with_vectors=True)
        return found


@pytest.fixture
def copy():
    return Copy()


def directions(count, seed=1, dimension=8):
    found = np.random.default_rng(seed).standard_normal((count, dimension))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def everything(count):
    return np.ones(count, np.bool_)


def best(found, k):
    return [slot for slot, _ in sorted(found, key=lambda pair: -pair[1])[:k]]


def test_what_is_found_is_what_a_search_of_all_finds(copy):
    rows, plain = directions(500), DenseIndex(8)
    copy.index.add_all(range(500), rows)
    plain.add_all(range(500), rows)
    copy.mirror.compare()
    before = copy.client.asked
    for query in directions(20, seed=2):
        allowed = everything(500)
        wanted = best(plain.search(query, 10), 10)
        assert best(copy.index.search(query, 10, allowed), 10) == wanted
        assert best(copy.index.search(query, 10), 10) == wanted
    assert copy.client.asked == before + 40


def test_only_what_is_allowed_is_found(copy):
    rows, plain = directions(500), DenseIndex(8)
    copy.index.add_all(range(500), rows)
    plain.add_all(range(500), rows)
    copy.mirror.compare()
    for share in (0.02, 0.3, 0.7):
        allowed = np.random.default_rng(3).random(500) < share
        for query in directions(5, seed=4):
            found = copy.index.search(query, 5, allowed)
            assert all(allowed[slot] for slot, _ in found)
            assert best(found, 5) == best(plain.search(query, 5, allowed), 5)


def test_points_hold_vectors_and_no_word(copy):
    copy.index.add(3, directions(1)[0])
    copy.mirror.compare()
    (point,) = copy.points()
    assert point.payload == {"tenant": copy.index.tenant}
    assert "anna" not in str(point)
    assert np.allclose(point.vector, directions(1)[0])


def test_tenants_do_not_find_each_other(copy):
    other = copy.mirror.index("bo's company")
    rows = directions(100)
    copy.index.add_all(range(100), rows)
    other.add_all(range(100), rows)
    copy.mirror.compare()
    assert len(copy.points()) == 200
    near = copy.mirror.nearest(other.tenant, rows[0], 200)
    assert set(near) == set(other._slots)
    assert not set(near) & set(copy.index._slots)


def test_what_is_forgotten_goes_at_once(copy):
    rows = directions(10)
    copy.index.add_all(range(10), rows)
    copy.mirror.compare()
    copy.index.remove(4)
    copy.mirror.settle()
    assert len(copy.points()) == 9
    assert not any(np.allclose(point.vector, rows[4]) for point in copy.points())


def test_a_vector_stays_while_another_record_has_it(copy):
    row = directions(1)[0]
    copy.index.add(0, row)
    copy.index.add(1, row)
    copy.mirror.compare()
    copy.index.remove(0)
    copy.mirror.settle()
    assert len(copy.points()) == 1
    assert best(copy.index.search(row, 2, everything(2)), 2) == [1]
    copy.index.remove(1)
    copy.mirror.settle()
    assert copy.points() == []


def test_what_qdrant_did_not_hear_of_goes_later(copy):
    copy.index.add_all(range(10), directions(10))
    copy.mirror.compare()
    copy.client.away = True
    copy.index.remove(0)
    copy.mirror.settle()
    with pytest.raises(Unavailable, match="may be there as vectors") as told:
        copy.mirror.compare()
    assert "secret" not in str(told.value)
    copy.client.away = False
    assert len(copy.points()) == 10
    copy.mirror.settle()
    assert len(copy.points()) == 10  # it is left alone for a while
    copy.now += REST_S
    copy.mirror.settle()
    assert len(copy.points()) == 9


def test_where_qdrant_is_away_the_search_goes_on_here(copy):
    rows = directions(300)
    copy.index.add_all(range(300), rows)
    copy.mirror.compare()
    copy.client.away, asked = True, copy.client.asked
    for row in range(20):
        assert best(copy.index.search(rows[row], 1, everything(300)), 1) == [row]
    assert copy.client.asked == asked + 1
    copy.mirror.settle()
    copy.index.remove(7)
    assert copy.client.asked == asked + 1
    copy.client.away, copy.now = False, REST_S + 1
    copy.mirror.settle()
    assert len(copy.points()) == 299


def test_what_qdrant_does_not_have_yet_is_found(copy):
    rows = directions(300)
    copy.index.add_all(range(299), rows[:299])
    copy.mirror.compare()
    copy.index.add(299, rows[299])
    copy.mirror.settle()
    assert len(copy.points()) == 299
    assert best(copy.index.search(rows[299], 1, everything(300)), 1) == [299]


def test_comparing_mends_whatever_is_there(copy):
    rows = directions(50)
    copy.index.add_all(range(50), rows)
    copy.mirror.compare()
    some = [point.id for point in copy.points()[:5]]
    copy.client.delete(copy.mirror.name, models.PointIdsList(points=some))
    stranger = models.PointStruct(id=7, vector=[1.0] + [0.0] * 7, payload={"tenant": copy.index.tenant})
    copy.client.upsert(copy.mirror.name, [stranger])
    copy.mirror.compare()
    assert {point.id for point in copy.points()} == set(copy.index._slots)


def test_a_shard_opened_again_sends_only_what_is_missing(copy):
    rows = directions(50)
    copy.index.add_all(range(50), rows)
    copy.mirror.compare()
    again = Copy(copy.client)
    again.index.add_all(range(10, 59), rows[1:])  # other slots, one vector forgotten
    asked = copy.client.asked
    again.mirror.compare()
    assert copy.client.asked == asked + 3  # collections, ids, the delete
    assert len(again.points()) == 49


def test_a_copy_of_another_embedder_goes(copy):
    copy.index.add_all(range(10), directions(10))
    copy.mirror.compare()
    neighbour = Copy(copy.client, shard="4567")
    neighbour.mirror.compare()
    other = Copy(copy.client, embedder=EmbedderId("f", 16))
    other.index.add_all(range(3), directions(3, dimension=16))
    other.mirror.compare()
    names = {each.name for each in copy.client.get_collections().collections}
    assert names == {neighbour.mirror.name, other.mirror.name}


def test_the_copy_survives_in_a_folder(tmp_path):
    client = QdrantClient(path=str(tmp_path))
    first = Copy(client)
    first.index.add_all(range(20), directions(20))
    first.mirror.compare()
    client.close()
    client = QdrantClient(path=str(tmp_path))
    assert len(Copy(client).points()) == 20
    client.close()


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.integers(0, 5)), max_size=30))
@settings(max_examples=30, deadline=None)
def test_after_any_changes_the_copy_is_what_is_here(changes):
    copy, rows, slots = Copy(), directions(6), {}
    copy.mirror.compare()
    for number, (adds, slot, row) in enumerate(changes):
        if adds and slot not in slots:
            copy.index.add(slot, rows[row])
            slots[slot] = row
        elif not adds:
            copy.index.remove(slot)
            slots.pop(slot, None)
        if number % 3 == 0:
            copy.mirror.settle()
    copy.mirror.settle()
    held = [rows[row].tolist() for row in set(slots.values())]
    assert all(np.round(point.vector, 6).tolist() in np.round(held, 6).tolist() for point in copy.points())
    copy.mirror.compare()
    assert len(copy.points()) == len(held)


def test_a_server_that_is_not_there(unused_tcp_port):
    gone = Copy(connect(f"http://127.0.0.1:{unused_tcp_port}", "key-canary"))
    rows = directions(30)
    gone.index.add_all(range(30), rows)
    gone.mirror.settle()
    with pytest.raises(Unavailable) as told:
        gone.mirror.compare()
    assert "canary" not in repr(told.value)
    assert best(gone.index.search(rows[3], 1, everything(30)), 1) == [3]


class ShardCopies:
    """A shard with a copy of each of its states; the last one is the one in use."""

    def __init__(self, lab):
        self.lab, self.client, self.made = lab, Away(":memory:"), []
        self.shard = self.open()

    def _mirror(self, folder, embedder):
        self.made.append(QdrantMirror(self.client, folder, embedder, lambda: self.lab.now, least=0))
        return self.made[-1]

    def open(self):
        shard = MemoryShard(
            self.lab.folder, EMBEDDER, RULES, clock=lambda: self.lab.now, mirror=self._mirror
        )
        self.lab.opened.append(shard)
        return shard

    def points(self):
        name = self.made[-1].name
        return self.client.scroll(name, limit=1000, with_vectors=True, with_payload=True)[0]

    def put(self, *texts):
        self.shard.put([self.lab.record(text, id=text) for text in texts])


@pytest.fixture
def copies(lab):
    return ShardCopies(lab)


def found(shard, text):
    vector = EMBEDDER.embed([text])[0].astype("<f4").tobytes()
    return [hit.record.id for hit in shard.search(Query("t", embedding=vector))]


def test_a_shard_finds_with_its_copy_what_it_finds_without(copies):
    copies.put(*(f"text of number {number}" for number in range(300)))
    plain = copies.lab.open(copies.lab.folder.parent / "plain")
    copies.lab.count = 0
    plain.put([copies.lab.record(name, id=name) for name in copies.shard._store.state.tenants["t"].ids()])
    copies.shard.compact()
    asked = copies.client.asked
    for number in range(0, 300, 37):
        text = f"text of number {number}"
        assert found(copies.shard, text) == found(plain, text)
    assert copies.client.asked > asked


def test_a_forgotten_record_is_gone_from_qdrant(copies):
    copies.put("a cat", "a dog", "a bird")
    copies.shard.compact()
    assert len(copies.points()) == 3
    assert copies.shard.forget("t", ["a cat"]) == 1
    assert len(copies.points()) == 2
    assert copies.shard.forget_subject("t", "s") == 2
    assert copies.points() == []


def test_a_record_forgotten_while_qdrant_is_away_does_not_come_back(copies):
    copies.put("a cat", "a dog", "a bird")
    copies.shard.compact()
    copies.client.away = True
    assert copies.shard.forget("t", ["a cat"]) == 1
    assert "a cat" not in found(copies.shard, "a cat")
    with pytest.raises(Unavailable, match="may be there as vectors"):
        copies.shard.compact()
    copies.shard.close()
    copies.client.away = False
    copies.shard = copies.open()
    assert "a cat" not in found(copies.shard, "a cat")
    assert len(copies.points()) == 2


def test_a_reindex_leaves_no_vector_of_the_old_embedder(copies):
    copies.put("a cat", "a dog")
    copies.shard.compact()
    copies.shard.reindex(HashedNgrams(48))
    copies.shard.compact()
    names = [each.name for each in copies.client.get_collections().collections]
    assert names == [copies.made[-1].name]
    assert [len(point.vector) for point in copies.points()] == [48, 48]


def test_settings_that_ask_for_no_qdrant():
    assert mirrors(MemorySettings()) is None


def test_the_key_is_read_from_its_file_and_shown_nowhere(tmp_path):
    key = tmp_path / "key"
    asked = MemorySettings(qdrant_url="http://127.0.0.1:6333/", qdrant_api_key_file=key)
    with pytest.raises(ConfigError, match="cannot be read"):
        mirrors(asked)
    key.write_text("canary\n")
    mirror = mirrors(asked)("0123", ID)
    assert mirror.name.startswith("zoran-0123-")
    assert "canary" not in f"{mirror!r} {asked!r}"


@pytest.mark.parametrize(
    "wrong",
    [
        {"qdrant_url": "qdrant"},
        {"qdrant_url": "https://user:canary@host"},
        {"qdrant_url": "http://far.example", "qdrant_api_key_file": "/key"},
        {"qdrant_api_key_file": "canary"},
    ],
)
def test_settings_that_would_show_a_secret(wrong):
    with pytest.raises(ValidationError) as refused:
        MemorySettings(**wrong)
    assert all("canary" not in error["msg"] for error in refused.value.errors())


def test_an_address_is_looked_at_before_anything_is_sent():
    assert connect("http://127.0.0.1:6333", "key") is not None
    with pytest.raises(ConfigError, match="no address"):
        connect("http://127.0.0.1:port", None)
