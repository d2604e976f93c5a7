"""Vectors for the memory: hashed, of a replica and of a provider; what is refused, lost, wrong or late."""

import asyncio
import base64
import contextlib
import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_apps.gateway.embedding import AT_ONCE, MOST_TEXTS, TextEmbedder, memory_key, vectors
from serve_apps.gateway.embedding_models import NamedModel
from tests.engines.providers.fake_provider import FakeProvider, hold, says
from tests.engines.providers.speeches import Said, Speech
from tests.serve_apps.arms_stage import CANARY as KEY
from tests.serve_apps.arms_stage import arm
from zoran_ray.errors import (
    BudgetExceeded,
    ConfigError,
    DeadlineExceeded,
    EmbedderMismatch,
    InvalidRequest,
    Overloaded,
    ProviderBusy,
    Unavailable,
    UpstreamError,
)
from zoran_ray.memory.embedder import EmbedderId, HashedNgrams
from zoran_ray.messages import KeyInfo
from zoran_ray.privacy import FORM
from zoran_ray.settings import MemorySettings, PrivacyProfile, PrivacySettings

PATIENCE_S = 10.0
ID = EmbedderId("local/m", 8)


def numbers(text):
    """A vector that tells texts from one another; not of length 1."""
    return [float(len(text)), *(float(ord(c)) for c in text[:3].ljust(3)), 1.0, 2.0, -3.0, 0.5]


def length_1(values):
    vector = np.asarray(values, np.float64)
    return (vector / np.linalg.norm(vector)).astype("<f4")


def read(vector):
    return np.frombuffer(vector, "<f4")


def embedder(stack, name="local/m", dimension=8, deadline_s=PATIENCE_S, mask=None):
    settings = MemorySettings(embedder=name, dimension=dimension)
    model = NamedModel(
        name,
        fleet=stack.fleet,
        upstream=stack.upstream,
        waiting=stack.waiting,
        arms=stack.arms,
        spending=stack.spending,
        mask=mask,
    )
    return TextEmbedder(settings, model, deadline_s)


@pytest.fixture
async def paid(make_stack):
    """A stack with `acme/e`, which costs a dollar a million tokens, and its provider."""
    async with FakeProvider(Speech(), KEY) as provider:
        stack = await make_stack(environ={"ACME_API_KEY": KEY})
        stack.catalogue(arm("acme/e", provider.url, usd_per_million_output=0))
        yield stack, provider


def said(texts_count, dimension=8, prompt_tokens=7, **changes):
    data = [
        {"object": "embedding", "index": i, "embedding": [float(i + 1)] * dimension}
        for i in range(texts_count)
    ]
    usage = {"prompt_tokens": prompt_tokens, "total_tokens": prompt_tokens}
    return says(Said({"object": "list", "model": "up", "data": data, "usage": usage, **changes}))


async def test_hashed_vectors_need_no_model(stack):
    make = embedder(stack, "hashed", 32)
    texts = ["a cat", "the word " * 1000]
    assert make.id == EmbedderId.of(HashedNgrams(32))
    assert [read(v).tolist() for v in await make(texts)] == HashedNgrams(32).embed(texts).tolist()
    assert await make([]) == []


async def test_a_replica_is_asked_in_pieces_and_answers_in_order(stack):
    replica = await stack.replica()
    replica.will(replica.embeddings(numbers))
    texts = [f"{n} texts" for n in range(AT_ONCE + 3)]
    found = await embedder(stack)(texts)
    assert [read(v).tolist() for v in found] == [length_1(numbers(t)).tolist() for t in texts]
    first, second = (request.json for request in replica.requests)
    assert (first["input"], second["input"]) == (texts[:AT_ONCE], texts[AT_ONCE:])
    assert first["model"] == "local/m"
    assert first["cache_salt"] != second["cache_salt"]
    assert {request.path for request in replica.requests} == {"/v1/embeddings"}


async def test_a_lost_replica_is_replaced(stack):
    for name in ("r1", "r2"):
        lost = await stack.replica(name)
        lost.will(lost.hang_up())
    good = await stack.replica("r3")
    good.will(good.embeddings(numbers))
    make = embedder(stack)
    for _ in range(5):
        assert len(await make(["a"])) == 1


async def test_three_lost_replicas_are_enough(stack):
    for name in ("r1", "r2", "r3", "r4"):
        lost = await stack.replica(name)
        lost.will(lost.hang_up())
    with pytest.raises(UpstreamError, match="3 replicas of 'local/m' were lost"):
        await embedder(stack)(["a"])
    assert sum(len(replica.requests) for replica in stack.replicas.values()) == 3


async def test_another_dimension_says_which_setting_is_wrong(stack):
    replica = await stack.replica()
    replica.will(replica.embeddings(numbers))
    with pytest.raises(EmbedderMismatch, match=r"vectors of 8 numbers.*16.*Set memory\.dimension to 8"):
        await embedder(stack, dimension=16)(["a"])


async def test_a_model_that_makes_no_vectors(stack):
    replica = await stack.replica()
    replica.will(replica.whole({"detail": "Not Found"}, 404))
    with pytest.raises(ConfigError, match=r"makes no vectors.*memory\.embedder") as wrong:
        await embedder(stack)(["a"])
    assert wrong.value.param == "memory.embedder"


async def test_a_model_that_is_not_served(stack):
    with pytest.raises(Unavailable, match="'local/other' is not served here now"):
        await embedder(stack, "local/other")(["a"])


async def test_an_engine_that_refuses(stack):
    replica = await stack.replica()
    error = {"message": "too long", "type": "BadRequestError", "param": "input", "code": 400}
    replica.will(replica.whole({"error": error}, 400))
    with pytest.raises(InvalidRequest, match="too long"):
        await embedder(stack)(["a"])


async def test_late_vectors_are_given_up_and_the_engine_told(stack):
    replica = await stack.replica()
    replica.will(replica.hold())
    with pytest.raises(DeadlineExceeded, match=r"within 0\.05 s"):
        await embedder(stack, deadline_s=0.05)(["a"])
    await asyncio.wait_for(replica.aborted.wait(), PATIENCE_S)


async def test_only_so_many_calls_wait(stack, monkeypatch):
    monkeypatch.setattr("serve_apps.gateway.embedding._CALLS", 2)
    replica = await stack.replica()
    replica.will(replica.hold())
    make = embedder(stack)
    waiting = [asyncio.create_task(make(["a"])) for _ in range(2)]
    await asyncio.wait_for(replica.asked.wait(), PATIENCE_S)
    with pytest.raises(Overloaded):
        await make(["b"])
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    replica.will(replica.embeddings(numbers))
    assert len(await make(["b"])) == 1


@pytest.mark.parametrize("texts", [[""], ["a", ""], [7], ["\ud800"], ["a"] * (MOST_TEXTS + 1)])
async def test_texts_without_a_vector(stack, texts):
    with pytest.raises(InvalidRequest):
        await embedder(stack)(texts)


async def test_a_provider_is_asked_and_paid(paid):
    stack, provider = paid
    provider.will(said(2))
    found = await embedder(stack, "acme/e")(["one", "two"])
    assert [read(v).tolist() for v in found] == [length_1([1.0] * 8).tolist()] * 2
    assert provider.sent["input"] == ["one", "two"]
    await stack.spending.flush(PATIENCE_S)
    assert (await spent(stack, "memory")) == 7_000


async def test_whoever_asks_pays(paid):
    stack, provider = paid
    provider.will(said(1))
    key = KeyInfo("k1", "anna", "", usd_per_day=1.0)
    await embedder(stack, "acme/e")(["one"], key)
    await stack.spending.flush(PATIENCE_S)
    assert (await spent(stack, "k1")) == 7_000
    with pytest.raises(BudgetExceeded):
        await embedder(stack, "acme/e")(["one"], KeyInfo("k2", "bo", "", usd_per_day=0.0))
    assert len(provider.requests) == 1


async def spent(stack, key_id):
    return (await stack.authority.spent(key_id)).settled


async def test_a_model_sees_what_the_privacy_desk_lets_through(paid):
    stack, provider = paid
    provider.will(said(1))

    asked = []

    async def mask(tenant, texts, remote):
        asked.append((tenant, remote))
        return [text.replace("Anna", "<NAME>") for text in texts]

    await embedder(stack, "acme/e", mask=mask)(["Anna sings"], memory_key("acme"))
    assert provider.sent["input"] == ["<NAME> sings"]
    replica = await stack.replica()
    replica.will(replica.embeddings(numbers))
    await embedder(stack, "local/m", mask=mask)(["Anna sings"], memory_key("-"))
    assert replica.requests[-1].json["input"] == ["<NAME> sings"]
    assert asked == [("acme", True), ("", False)]


async def test_texts_are_masked_as_the_tenants_profile_says_and_nothing_is_kept(make_stack, tmp_path):
    text, shown = "Write to jean.canary@example.fr", {}
    profiles = {name: PrivacyProfile(mode=name) for name in ("off", "remote", "always", "reject")}
    stack = await make_stack(
        privacy=PrivacySettings(profiles=profiles, tenants={name: name for name in profiles})
    )
    for tenant in profiles:
        for remote in (False, True):
            (seen,) = await stack.privacy.shown_for_good(tenant, [text], remote)
            shown[tenant, remote] = "canary" in seen
    masked = {place for place, seen in shown.items() if not seen}
    assert masked == {("remote", True), *((m, r) for m in ("always", "reject") for r in (False, True))}
    (placeholder,) = FORM.findall((await stack.privacy.shown_for_good("always", [text], True))[0])
    assert await stack.privacy.unmask("always", placeholder) == (placeholder, {})


async def test_a_busy_provider_is_asked_again(paid):
    stack, provider = paid
    busy = says(Said({"error": {"message": "slow down"}}, 429, {"retry-after": "0"}))
    provider.will(busy, said(1))
    assert len(await embedder(stack, "acme/e")(["one"])) == 1
    provider.will(*[busy] * 3)
    with pytest.raises(ProviderBusy):
        await embedder(stack, "acme/e")(["one"])
    await stack.spending.flush(PATIENCE_S)
    assert (await spent(stack, "memory")) == 7_000


async def test_a_provider_that_has_the_texts_is_paid_for_them(paid):
    stack, provider = paid
    provider.will(hold)
    with pytest.raises(DeadlineExceeded):
        await embedder(stack, "acme/e", deadline_s=0.3)(["one two three four"])
    await stack.spending.flush(PATIENCE_S)
    assert (await spent(stack, "memory")) > 0


def packed(values):
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


def answer(*embeddings, **fields):
    rows = [{"index": i, "embedding": each, **fields} for i, each in enumerate(embeddings)]
    return json.dumps({"data": rows}).encode()


def test_vectors_are_put_in_the_order_of_their_texts():
    rows = [{"index": i, "embedding": [float(i)] * 7 + [1.0]} for i in (2, 0, 1)]
    found = vectors(json.dumps({"data": rows}).encode(), ID, 3)
    assert [read(v).tolist() for v in found] == [length_1([i] * 7 + [1]).tolist() for i in range(3)]


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"[]",
        b"{}",
        b'{"data": 7}',
        b'{"data": [7]}',
        b'{"data": [{}]}',
        answer(),
        answer([1.0] * 8, [1.0] * 8),
        answer([1.0] * 8, index=1),
        answer([1.0] * 8, index=[]),
        answer(["1"] * 8),
        answer([True] * 8),
        answer([[1.0]] * 8),
        answer(None),
        answer("%%%"),
        answer(base64.b64encode(b"abc").decode()),
        answer([1e40] + [1.0] * 7),
        answer(packed([float("nan")] + [1.0] * 7)),
        answer(packed([float("inf")] + [1.0] * 7)),
        answer([0.0] * 8),
    ],
)
def test_what_is_no_vector(wrong):
    with pytest.raises(UpstreamError):
        vectors(wrong, ID, 1)


@given(st.binary(max_size=200), st.integers(0, 3))
def test_any_answer_is_vectors_or_an_error_of_ours(data, count):
    with contextlib.suppress(UpstreamError, EmbedderMismatch):
        assert len(vectors(data, ID, count)) == count


@given(st.lists(st.lists(st.floats(-1e6, 1e6, width=32), min_size=8, max_size=8), min_size=1, max_size=4))
def test_numbers_and_base64_are_the_same_vectors(rows):
    for row in rows:
        row[0] = 1.0
    plain, encoded = (
        vectors(answer(*rows), ID, len(rows)),
        vectors(answer(*map(packed, rows)), ID, len(rows)),
    )
    assert plain == encoded
    assert all(abs(float(read(v).astype(np.float64) @ read(v)) - 1) < 1e-5 for v in plain)
