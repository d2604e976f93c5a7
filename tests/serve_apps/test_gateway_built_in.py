"""The strategies that come along, asked through the gateway."""

import pytest

from serve_apps.gateway.built_in import built_in
from tests.serve_apps.thinking_stage import events_of, thinks
from zoran_ray.reasoning.replayed import replayed

CHAT = "/v1/chat/completions"
ALL = built_in()


@pytest.fixture
async def stack(make_stack):
    stack = await make_stack(strategies=ALL)
    replica = await stack.replica()
    replica.will(thinks(replica, say=lambda said: "2 + 2 = 4\nAnswer: 4"))
    return stack


async def ask(stack, model, content="What is 2+2?", **fields):
    return await stack.post(
        CHAT, {"model": model, "messages": [{"role": "user", "content": content}], **fields}
    )


def test_the_ones_that_are_promised_are_there():
    promised = ("cot", "self-consistency", "best-of-n", "tot", "lot", "react", "reflexion")
    assert {f"zoran/{name}" for name in promised} <= set(ALL.names())


# What searches needs somebody's memory, and roles need their processes: they have tests of their own.
ALONE = [f"zoran/{name}" for name in ALL.described if name != "grounded"]


@pytest.mark.parametrize("model", ALONE)
@pytest.mark.parametrize("streamed", [False, True])
async def test_every_one_answers_and_leaves_a_trace(stack, model, streamed):
    content = "Use the numbers 2 2 to make 4." if "countdown" in model else "What is 2+2?"
    said = {"budget": {"calls": 60, "tokens": 200_000}, "verifier": {"kind": "numeric", "expected": 4}}
    got = await ask(stack, model, content, stream=streamed, zoran=said)
    assert got.status == 200, got.body
    zoran = events_of(got.body)[-1]["zoran"] if streamed else got.json["zoran"]
    assert zoran["calls"] >= 1
    trace = (await stack.get(f"/v1/traces/{zoran['trace_id']}")).json
    assert trace["ended"] == zoran["ended"]
    assert trace["steps"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"zoran": {"strategy": {"samples": 0}}}, "zoran.strategy.samples"),
        ({"zoran": {"strategy": {"colour": "red"}}}, "zoran.strategy.colour"),
        ({"zoran": {"verifier": {"kind": "oracle"}}}, "zoran.verifier.kind"),
        ({"zoran": {"verifier": {"kind": "exact"}}}, "zoran.verifier"),
        ({"zoran": {"budget": {"tokens": 20}}}, "zoran.budget.tokens"),
    ],
)
async def test_what_is_wrong_is_named(stack, fields, param):
    got = await ask(stack, "zoran/self-consistency", **fields)
    assert (got.status, got.json["error"]["param"]) == (400, param)


async def test_who_searches_says_whose_memory_it_needs(stack):
    got = await ask(stack, "zoran/grounded")
    assert (got.status, got.json["error"]["param"]) == (400, "zoran.memory.subject")


@pytest.mark.parametrize("model", ["zoran/best-of-n", "zoran/reflexion"])
async def test_who_needs_a_verifier_says_so(stack, model):
    got = await ask(stack, model)
    assert got.status == 400
    assert "verifier" in got.json["error"]["message"]


async def test_an_answer_is_verified_and_what_was_expected_is_not_told(stack):
    verifier = {"kind": "numeric", "expected": 31415}
    got = await ask(stack, "zoran/reflexion", zoran={"verifier": verifier})
    assert got.json["zoran"]["verified"] is False
    (replica,) = stack.replicas.values()
    assert all(b"31415" not in request.body for request in replica.requests)


def even(answer, least=0):
    """An operator's function."""
    return int(answer) % 2 == 0 and int(answer) >= least


async def test_a_function_of_the_operators_verifies(make_stack):
    stack = await make_stack(strategies=built_in(verifiers={"even": f"{__name__}:even"}))
    replica = await stack.replica()
    replica.will(thinks(replica, say=lambda said: "2 + 2 = 4\nAnswer: 4"))
    own = {"kind": "own", "name": "even"}
    right = await ask(stack, "zoran/cot", zoran={"verifier": own})
    wrong = await ask(stack, "zoran/cot", zoran={"verifier": own | {"arguments": {"least": 5}}})
    raises = await ask(stack, "zoran/cot", zoran={"verifier": own | {"arguments": {"least": "x"}}})
    assert [got.json["zoran"]["verified"] for got in (right, wrong, raises)] == [True, False, None]
    unknown = await ask(stack, "zoran/cot", zoran={"verifier": own | {"name": "evn"}})
    assert (unknown.status, unknown.json["error"]["param"]) == (400, "zoran.verifier.name")
    trace = (await stack.get(f"/v1/traces/{wrong.json['zoran']['trace_id']}")).json
    found = await replayed(trace)  # without the function
    assert (found.same, found.answer.verified) == (True, False)
