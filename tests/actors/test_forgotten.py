"""The list of whom all nodes are to forget: each follows it from where it stands, to its end."""

from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import actors.forgotten
from actors.forgotten import KEEP_S, Forgotten, forgotten_list
from actors.journal import JournalWriter


def following(found, epoch="", version=0):
    """Everything from a place to the end of the list, and the end."""
    entries = []
    while (news := found.since(epoch, version)).entries:
        entries += news.entries
        epoch, version = news.epoch, news.version
    return entries, epoch, version


@pytest.fixture
def made():
    """Makes lists, and closes them."""
    lists = []

    def make(*given):
        lists.append(forgotten_list(*given))
        return lists[-1]

    yield make
    for each in lists:
        each.close()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["t", "u"]), st.sampled_from(["", "a", "b", "c"])),
        min_size=1,
        max_size=12,
    ),
    st.integers(0, 12),
)
def test_who_follows_from_any_place_misses_nobody(tmp_path_factory, added, place):
    with closing(forgotten_list(tmp_path_factory.mktemp("list") / "state")) as found:
        for each in added[:place]:
            found.add(*each)
        known, epoch, version = following(found)
        for each in added[place:]:
            found.add(*each)
        more, *end = following(found, epoch, version)
        covered = {(each.tenant, each.subject) for each in known + more}
        assert all(each in covered or (each[0], "") in covered for each in added)
        assert following(found, *end)[0] == []
        assert set(more) <= {Forgotten(*each) for each in added[place:]}


def test_a_long_list_comes_in_parts(made, tmp_path, monkeypatch):
    monkeypatch.setattr(actors.forgotten, "MOST_AT_ONCE", 2)
    found = made(tmp_path / "state")
    for subject in "abcde":
        found.add("t", subject)
    assert len(found.since("", 0).entries) == 2
    assert [each.subject for each in following(found)[0]] == list("abcde")


def test_one_subject_too_many_and_all_of_the_tenant_is_forgotten(made, tmp_path, monkeypatch):
    monkeypatch.setattr(actors.forgotten, "MOST_OF_TENANT", 2)
    found = made(tmp_path / "state")
    for tenant, subject in (("t", "a"), ("t", "b"), ("u", "a"), ("t", "c")):
        found.add(tenant, subject)
    assert following(found)[0] == [Forgotten("u", "a"), Forgotten("t", "")]


def test_entries_go_when_nothing_can_be_left_of_what_they_are_about(made, tmp_path):
    now = [1_000_000.0]
    found = made(tmp_path / "state", lambda: now[0])
    found.add("t", "a")
    now[0] += KEEP_S + 1
    found.add("t", "b")
    entries, _, version = following(found)
    assert (entries, version) == ([Forgotten("t", "b")], 2)


def test_another_list_begins_anew(made, tmp_path):
    one, other = made(tmp_path / "one"), made(tmp_path / "other")
    for found in (one, other):
        found.add("t", "a")
    _, epoch, version = following(one)
    assert following(other, epoch, version)[0] == [Forgotten("t", "a")]
    assert following(made(tmp_path / "one"), epoch, version)[0] == []  # read again from the disk


async def test_the_journals_actor_keeps_it(tmp_path):
    journal = JournalWriter(tmp_path / "state")
    await journal.forget_everywhere("t", "a")
    news = await journal.forgotten_since("", 0)
    assert news.entries == (Forgotten("t", "a"),)
    await journal.stop()
