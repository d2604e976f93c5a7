"""What `GET /v1/traces/{id}` gives is gone through again: by the library, and by `zoran traces`."""

import asyncio
import itertools
import json

import pytest
from typer.testing import CliRunner

from serve_apps.gateway.built_in import built_in
from serve_apps.gateway.trace_record import TraceRecord
from tests.serve_apps.thinking_stage import thinks
from zoran_ray.cli.app import app
from zoran_ray.errors import InvalidRequest, RecordNotFound
from zoran_ray.reasoning.completion import Used
from zoran_ray.reasoning.replayed import replayed
from zoran_ray.settings import PrivacyProfile, PrivacySettings, ToolSettings

CHAT = "/v1/chat/completions"
ALL = built_in()
# What searches needs somebody's memory.
ALONE = [f"zoran/{name}" for name in ALL.described if name != "grounded"]
SAID = ("2 + 2 = 4\nAnswer: 4", "Maybe 5.\nAnswer: 5", "1. one\n2. two\nlikely", "sure", "impossible")


@pytest.fixture
async def stack(make_stack):
    stack = await make_stack(strategies=ALL)
    replica, number = await stack.replica(), itertools.count()
    replica.will(thinks(replica, say=lambda said: SAID[next(number) % len(SAID)]))
    return stack


async def trace_of(stack, model, content="What is 2+2?", **zoran):
    """A trace as a client gets it."""
    body = {"model": model, "messages": [{"role": "user", "content": content}], "zoran": zoran}
    got = await stack.post(CHAT, body)
    assert got.status == 200, got.body
    return (await stack.get(f"/v1/traces/{got.json['zoran']['trace_id']}")).json


def steps_of(document, trace):
    """The steps of then and now, without what they used and when they were."""
    then = [{**step, "at_s": 0, "used": 0} for step in document["steps"]]
    now = [{**step, "at_s": 0, "used": 0} for step in json.loads(json.dumps(trace.as_json()))["steps"]]
    return then, now


@pytest.mark.parametrize("calls", [3, 60])
@pytest.mark.parametrize("model", ALONE)
async def test_every_strategy_comes_to_the_same_answer_by_the_same_steps(stack, model, calls):
    content = "Use the numbers 2 2 to make 4." if "countdown" in model else "What is 2+2?"
    verifier = {"kind": "numeric", "expected": 4}
    document = await trace_of(stack, model, content, budget={"calls": calls}, verifier=verifier)
    asked = len(next(iter(stack.replicas.values())).requests)
    found = await replayed(document)
    then, now = steps_of(document, found.trace)
    # Verdicts that fell in the same moment as the one that ended it came too late to matter.
    assert now == (then[: len(now)] if "best-of-n" in model else then)
    assert found.same
    assert (found.calls, found.left) == (len(document["calls"]), 0)
    assert len(next(iter(stack.replicas.values())).requests) == asked


async def test_tools_that_need_nothing_are_used_again(make_stack):
    stack = await make_stack(strategies=ALL, tools={"settings": ToolSettings()})
    replica = await stack.replica()
    turns = iter(("Action: calculator\nAction Input: 2+2", "Final Answer: 4"))
    replica.will(thinks(replica, say=lambda said: next(turns)))
    document = await trace_of(stack, "zoran/react")
    assert "calculator" in json.dumps(document["steps"])
    found = await replayed(document)
    assert (found.same, found.answer.text, found.left) == (True, "4", 0)


async def test_a_budget_of_tokens_ends_it_as_then(stack):
    many = {"samples": 16, "at_once": 2, "max_tokens": 40}
    document = await trace_of(stack, "zoran/self-consistency", budget={"tokens": 400}, strategy=many)
    assert document["ended"] == "budget:tokens"
    found = await replayed(document)
    assert (found.same, found.answer.ended) == (True, "budget:tokens")


async def test_another_answer_is_told(stack):
    document = await trace_of(stack, "zoran/cot")
    document["calls"][0]["answer"]["choices"][0]["text"] = "Answer: 7"
    found = await replayed(document)
    assert (found.same, found.answer.text) == (False, "7")


async def test_another_question_is_not_in_it(stack):
    document = await trace_of(stack, "zoran/cot")
    document["messages"][0]["content"] = "What is 3+3?"
    with pytest.raises(RecordNotFound, match="no such call"):
        await replayed(document, patience_s=0.01)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"messages": []}, "no trace"),
        ({"asked": 3}, "no trace"),
        ({"left_out": ["calls"]}, "too large"),
        ({"answer": None, "ended": "cancelled"}, "cancelled"),
        ({"model": "zoran/nothing"}, "no such strategy"),
        ({"calls": [{}]}, "no trace"),
        ({"steps": [3]}, "no trace"),
    ],
)
async def test_what_cannot_be_replayed_says_why(stack, change, says):
    document = await trace_of(stack, "zoran/cot", verifier={"kind": "numeric", "expected": 4})
    with pytest.raises(InvalidRequest, match=says):
        await replayed(document | change)


async def test_masked_texts_are_replayed_as_the_model_saw_them(make_stack):
    privacy = PrivacySettings(profiles={"default": PrivacyProfile(mode="always")})
    stack = await make_stack(strategies=ALL, privacy=privacy)
    replica = await stack.replica()
    replica.will(thinks(replica, say=lambda said: f"Answer: {said.split()[2]}"))
    document = await trace_of(stack, "zoran/cot", "Write to jean.canary@example.fr")
    assert "jean.canary" not in json.dumps(document)
    found = await replayed(document)
    assert (found.same, found.answer.text[0]) == (True, "[")


def test_what_is_too_large_is_left_out_of_a_trace_piece_by_piece():
    big = ["x" * 9_000_000]
    for kept, left_out in (
        ({"messages": [], "steps": [], "calls": big}, []),
        ({"messages": [], "steps": big, "calls": big}, ["calls"]),
        ({"messages": big, "steps": big, "calls": []}, ["calls", "steps"]),
        ({"messages": big * 2, "steps": [], "calls": []}, ["calls", "steps", "messages"]),
    ):
        record = TraceRecord("trace-1", "", Used(), {}, **kept)
        assert json.loads(record.data()).get("left_out", []) == left_out


async def test_the_command_line_lists_shows_and_replays(stack, tmp_path):
    (replica,) = stack.replicas.values()
    replica.will(thinks(replica, say=lambda said: "2 + 2 = 4\nAnswer: 4"))
    await trace_of(stack, "zoran/cot")
    document = await trace_of(stack, "zoran/self-consistency", strategy={"samples": 2})
    where = {"ZORAN_BASE_URL": f"http://127.0.0.1:{stack.port}", "ZORAN_STATE_DIR": str(tmp_path)}

    async def zoran(*args):
        return await asyncio.to_thread(CliRunner().invoke, app, ["traces", *args], env=where)

    listed = await zoran("list")
    assert listed.stdout.splitlines()[1].split()[0] == document["id"]
    assert "zoran/cot" in listed.stdout
    (row,) = json.loads((await zoran("list", "-n", "1", "--json")).stdout)["data"]
    assert row["id"] == document["id"]

    shown = await zoran("show", document["id"])
    *tree, answer = shown.stdout.splitlines()
    assert answer == document["answer"]
    assert tree == ["thought: 2 + 2 = 4 (22 tokens)", "  answer: 4"] * 2
    assert "2 calls, 44 tokens" in shown.stderr

    whole = await zoran("show", document["id"], "--json")
    file = tmp_path / "trace.json"
    file.write_text(whole.stdout)
    for which in (document["id"], str(file)):
        again = await zoran("replay", which)
        assert (again.exit_code, again.stdout) == (0, f"The same answer: {document['answer']}\n")
    told = json.loads((await zoran("replay", str(file), "--json")).stdout)
    assert (told["same"], told["calls"], told["calls_left"]) == (True, 2, 0)
