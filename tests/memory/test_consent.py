"""Consent on write and on read, its end, its withdrawal; and what may be kept for what."""

import pytest

from zoran_ray.errors import (
    ConsentRequired,
    InvalidRequest,
    PermissionDenied,
    RecordNotFound,
    StorageFull,
)
from zoran_ray.memory.consent import Consent, ConsentBook, PurposeRule, minimised
from zoran_ray.memory.record import Layer, Provenance, Sensitivity
from zoran_ray.memory.search import Query


def consent(**changes):
    fields = {
        "id": "c",
        "tenant": "t",
        "subject": "s",
        "purposes": ("personalisation",),
        "layers": tuple(Layer),
        "given": 900.0,
    }
    return Consent(**{**fields, **changes})


def personal(lab, text="Anna likes tea", **changes):
    return lab.record(text, **{"purpose": "personalisation", "consent": "c", **changes})


def test_without_consent_nothing_is_kept_that_needs_it(lab):
    shard = lab.open()
    with pytest.raises(ConsentRequired):
        shard.put([personal(lab, consent="")])
    with pytest.raises(ConsentRequired):
        shard.put([personal(lab)])
    shard.give(consent())
    shard.put([personal(lab)])
    assert shard.stats().records == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"purposes": ("knowledge",)},
        {"layers": (Layer.SHORT,)},
        {"given": 1001.0},
        {"expires": 1000.0},
        {"subject": "somebody else"},
        {"tenant": "another"},
    ],
)
def test_a_consent_for_something_else_is_none(lab, changes):
    shard = lab.open()
    shard.give(consent(**changes))
    with pytest.raises(ConsentRequired):
        shard.put([personal(lab)])


def test_whose_consent_it_is_is_not_told(lab):
    shard = lab.open()
    shard.give(consent(subject="somebody else"))
    messages = []
    for name in ("c", "never was"):
        with pytest.raises(ConsentRequired) as caught:
            shard.put([personal(lab, consent=name)])
        messages.append(caught.value.message)
    assert messages[0] == messages[1]


def test_a_consent_that_is_named_must_hold_even_where_none_is_needed(lab):
    shard = lab.open()
    with pytest.raises(ConsentRequired):
        shard.put([lab.record("fact", consent="c")])


def test_what_was_kept_ends_with_its_consent(lab):
    shard = lab.open()
    shard.give(consent(expires=1100.0))
    shard.put([personal(lab, id="a")])
    lab.now = 1099.0
    assert len(shard.search(Query("t", "tea"))) == 1
    lab.now = 1100.0
    assert shard.search(Query("t", "tea")) == []
    with pytest.raises(RecordNotFound):
        shard.get("t", "a")
    lab.now = 1000.0
    assert lab.reopen(shard).search(Query("t", "tea")) == []


@pytest.mark.parametrize("compacted", [False, True])
def test_withdrawn_and_forgotten(lab, compacted):
    shard = lab.open()
    shard.give(consent())
    shard.put([personal(lab, id="a"), lab.record("tea is a plant", id="b")])
    shard.withdraw("t", "c")
    if compacted:
        shard.compact()
    for _ in range(2):
        assert [hit.record.id for hit in shard.search(Query("t", "tea"))] == ["b"]
        with pytest.raises(RecordNotFound):
            shard.get("t", "a")
        with pytest.raises(ConsentRequired, match="withdrawn"):
            shard.put([personal(lab)])
        shard = lab.reopen(shard)
    assert shard.export("t", "s")["consents"][0]["withdrawn"] == 1000.0


@pytest.mark.parametrize("compacted", [False, True])
def test_withdrawn_and_hidden(lab, compacted):
    shard = lab.open()
    shard.give(consent())
    shard.put([personal(lab, id="a"), lab.record("tea is a plant", id="b")])
    shard.withdraw("t", "c", forget=False)
    if compacted:
        shard.compact()
    for _ in range(2):
        assert [hit.record.id for hit in shard.search(Query("t", "tea"))] == ["b"]
        with pytest.raises(ConsentRequired):
            shard.get("t", "a")
        assert [r["id"] for r in shard.export("t", "s")["records"]] == ["a", "b"]
        shard = lab.reopen(shard)


def test_a_withdrawn_consent_never_comes_back(lab):
    shard = lab.open()
    shard.give(consent())
    shard.withdraw("t", "c")
    assert shard.give(consent()) == b""
    assert shard.withdraw("t", "c") == b""
    with pytest.raises(ConsentRequired):
        shard.put([personal(lab)])
    shard.give(consent(id="c2"))
    shard.put([personal(lab, consent="c2")])


def test_nobody_withdraws_for_another_tenant(lab):
    shard = lab.open()
    shard.give(consent())
    with pytest.raises(RecordNotFound):
        shard.withdraw("u", "c")
    shard.put([personal(lab)])


def test_nothing_moves_to_where_its_consent_does_not_reach(lab):
    shard = lab.open()
    shard.give(consent(layers=(Layer.LATENT,)))
    shard.put([personal(lab, id="a", source="model:m", layer=Layer.LATENT)])
    assert shard.confirm("t", "a").stored[0].layer is Layer.LATENT
    shard.give(consent(id="c2"))
    shard.put([personal(lab, id="b", source="model:m", layer=Layer.LATENT, consent="c2")])
    assert shard.confirm("t", "b").stored[0].layer is Layer.LONG


def test_what_a_purpose_does_not_need_never_reaches_the_disk(lab):
    shard = lab.open()
    shard.put([lab.record("fact", conversation="xyzzy conversation")])
    assert shard.get("t", "r1").conversation == ""
    assert all(b"xyzzy" not in path.read_bytes() for path in lab.folder.iterdir())


def test_minimised(lab):
    record = lab.record(
        "text", consent="c", conversation="x", provenance=Provenance("q", 1), corroborated=("user:x",)
    )
    least = minimised(record, PurposeRule(fields=()))
    assert (least.text, least.embedding, least.source, least.conversation) == ("", b"", "", "")
    assert (least.provenance, least.corroborated) == (Provenance(), ())
    assert (least.id, least.tenant, least.subject, least.consent) == (record.id, "t", "s", "c")
    most = ("text", "embedding", "source", "conversation", "provenance", "corroborated")
    assert minimised(record, PurposeRule(fields=most)) == record


def test_a_purpose_bounds_how_long_and_how_sensitive(lab):
    rule = PurposeRule(most_ttl_s=10.0, most_sensitivity=Sensitivity.PERSONAL)
    assert minimised(lab.record("x"), rule).expires == 1010.0
    assert minimised(lab.record("x", expires=1005.0), rule).expires == 1005.0
    minimised(lab.record("x", sensitivity=Sensitivity.PERSONAL), rule)
    with pytest.raises(PermissionDenied):
        minimised(lab.record("x", sensitivity=Sensitivity.SPECIAL), rule)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ""},
        {"purposes": ()},
        {"purposes": ("p",) * 101},
        {"purposes": ("",)},
        {"layers": ()},
        {"layers": ("long",)},
        {"given": float("nan")},
        {"expires": -1.0},
    ],
)
def test_consents_that_are_none(changes):
    with pytest.raises(InvalidRequest):
        consent(**changes)


def test_consents_are_bounded_and_their_ids_are_taken():
    book = ConsentBook(most=1)
    assert book.check_new(consent())
    book.keep(consent())
    assert not book.check_new(consent())
    with pytest.raises(InvalidRequest):
        book.check_new(consent(given=901.0))
    with pytest.raises(InvalidRequest):
        book.check_new(consent(id="d", withdrawn=901.0))
    with pytest.raises(StorageFull):
        book.check_new(consent(id="d"))


def test_a_repr_tells_nobody():
    assert "anna" not in repr(consent(subject="anna"))
