"""ReAct with native calls: what goes out and comes back, several at once, and every odd message."""

import asyncio
import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reasoning.test_react import QUESTION, Shown, Tools
from zoran_ray.errors import Unavailable
from zoran_ray.reasoning.budget import Budget, Purse
from zoran_ray.reasoning.completion import Completion, Completions, Used
from zoran_ray.reasoning.react import React
from zoran_ray.reasoning.react_native import MOST_CALLS, called_in
from zoran_ray.reasoning.react_run import MOST_AT_ONCE
from zoran_ray.reasoning.replay import Replay, calls_of
from zoran_ray.reasoning.strategy import Ask
from zoran_ray.reasoning.trace import Trace


def call(arguments, name="calculator", call_id="c1", **extra):
    written = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": written}, **extra}


def calls(*made, text="", **extra):
    """A message with calls."""
    return {"role": "assistant", "content": text or None, "tool_calls": list(made), **extra}


class Calling:
    """A model that says what the test says: texts, and messages with calls."""

    def __init__(self, *said):
        self.said = list(said)
        self.asked = []

    async def __call__(self, messages, sampling, *, deadline):
        self.asked.append((tuple(messages), sampling))
        said = self.said.pop(0)
        if isinstance(said, str):
            choice = Completion(said)
        else:
            choice = Completion(said.get("content") or "", "tool_calls", said)
        return Completions((choice,), Used(1, 10, 0, 5, 0))

    def most(self, messages, sampling):
        return Used(1, 10, 0, sampling.max_tokens, 0)


async def answered(*said, tools=None, how=None, opens=None, **budget):
    model = Calling(*said)

    async def given():
        return tools or Tools()

    clock = lambda: 0.0  # noqa: E731
    ask = Ask(
        *(model, Purse(Budget(**budget), clock), Trace(), math.inf, clock),
        tools=opens or given,
        calls_tools=True,
    )
    return await (how or React()).answer(QUESTION, ask), model, ask.trace


async def test_a_call_its_answer_and_the_final_answer():
    tools = Tools()
    turn = calls(call({"expression": "6*7"}), text="I compute.")
    answer, model, trace = await answered(turn, "<think>Fine.</think>42", tools=tools)
    assert (answer.text, answer.ended) == ("42", "done")
    assert answer.detail == {"turns": 2, "tool_calls": 1, "tool_errors": 0}
    assert tools.calls == [("calculator", {"expression": "6*7"})]
    kinds = [step.kind for step in trace.steps]
    assert kinds == ["thought", "action", "observation", "thought", "answer"]
    assert [step.used.calls for step in trace.steps] == [1, 0, 0, 1, 0]
    (first, sampling), (second, _) = model.asked
    assert [each["function"]["name"] for each in sampling.tools] == ["calculator", "search"]
    assert sampling.tools[0]["function"]["parameters"] == tools.offers[0].parameters
    assert "<|im_end|>" not in str(sampling.tools)
    assert sampling.stop == ()
    assert second[: len(first)] == first
    said, shown = second[len(first) :]
    assert said == calls(call({"expression": "6*7"})) | {"content": "I compute."}
    assert (shown["role"], shown["tool_call_id"]) == ("tool", "c1")
    assert re.fullmatch(r"<tool-(\w{8})>\n42\n</tool-\1>", shown["content"])


async def test_several_calls_of_a_turn_run_at_the_same_time_and_answer_in_order():
    class Slow(Tools):
        running = most = 0

        async def call(self, name, arguments, *, deadline):
            self.running += 1
            self.most = max(self.most, self.running)
            for _ in range(3):
                await asyncio.sleep(0)
            self.running -= 1
            return Shown(arguments["expression"])

    tools = Slow()
    made = [call({"expression": f"{place}"}, call_id=f"c{place}") for place in range(6)]
    _, model, trace = await answered(calls(*made), "done", tools=tools)
    assert 1 < tools.most <= MOST_AT_ONCE
    shown = model.asked[1][0][-6:]
    assert [each["tool_call_id"] for each in shown] == [f"c{place}" for place in range(6)]
    assert [step.text for step in trace.steps if step.kind == "observation"] == list("012345")


@pytest.mark.parametrize("bad", ["{", "[1]", '"x"', '{"a":' * 40 + "1" + "}" * 40, "x" * 30_000, "NaN"])
async def test_malformed_arguments_are_repaired_once(bad):
    good = call({"expression": "1"}, call_id="c2")
    answer, model, _ = await answered(calls(call(bad), good), calls(call({"expression": "2"})), "42")
    assert (answer.text, answer.ended) == ("42", "done")
    told = model.asked[1][0]
    # What goes back can be read by everybody; what was wrong is said in the answer to that call alone.
    assert [json.loads(each["function"]["arguments"]) for each in told[-3]["tool_calls"]] == [
        {}, {"expression": "1"}
    ]  # fmt: skip
    assert "The arguments are" in told[-2]["content"]
    assert "\n42\n" in told[-1]["content"]
    answer, model, _ = await answered(calls(call(bad)), calls(call(bad)), "41")
    assert (answer.text, answer.ended) == ("41", "malformed")
    assert answer.detail["tool_calls"] == 0


async def test_the_last_word_names_the_tools_and_may_not_call_them():
    answer, model, _ = await answered(calls(call({"expression": "1"})), "41", how=React(steps=1))
    assert (answer.text, answer.ended) == ("41", "steps")
    messages, sampling = model.asked[-1]
    assert sampling.tools
    assert not sampling.may_call
    assert messages[-1]["role"] == "tool"
    assert messages[-1]["content"].endswith(">\n\nUse no more tools. Give the answer now.")


async def test_the_same_stops_as_in_text():
    same = calls(call({"expression": "1"}))
    answer, _, _ = await answered(same, same, same, "x")
    assert (answer.ended, answer.detail["tool_calls"]) == ("repeated", 1)
    failing = [calls(call({"expression": f"{place}"})) for place in range(4)]
    answer, _, _ = await answered(*failing, "x", tools=Tools(Shown("no", ok=False)))
    assert (answer.ended, answer.detail["tool_errors"]) == ("tool_errors", 3)
    answer, _, _ = await answered("", "", "x")
    assert (answer.text, answer.ended) == ("x", "malformed")
    answer, _, _ = await answered(*failing[:2], "x", calls=3)
    assert (answer.text, answer.ended) == ("x", "budget:calls")


async def test_signatures_go_back_with_the_calls():
    signed = {"extra_content": {"google": {"thought_signature": "abc"}}}
    _, model, _ = await answered(calls(call({"expression": "1"}, **signed), **signed), "1")
    told = model.asked[1][0][-2]
    assert told["extra_content"] == told["tool_calls"][0]["extra_content"] == signed["extra_content"]


@pytest.mark.parametrize("how", ["auto", "native", "text"])
@pytest.mark.parametrize("known", [True, False])
async def test_the_form_is_chosen(how, known):
    model = Calling("Final Answer: 42")
    ask = Ask(model, Purse(Budget(), lambda: 0.0), Trace(), math.inf, lambda: 0.0, calls_tools=known)
    await React(calls=how).using(Tools()).answer(QUESTION, ask)
    assert bool(model.asked[0][1].tools) == (how == "native" or (how == "auto" and known))


async def test_tools_that_cannot_be_had_are_an_error():
    async def opens():
        raise Unavailable("The MCP server 'x' is gone.")

    with pytest.raises(Unavailable):
        await answered("42", opens=opens)


async def test_a_cancellation_stops_all_calls_of_a_turn():
    class Hanging(Tools):
        stopped = 0

        async def call(self, name, arguments, *, deadline):
            self.calls.append(name)
            try:
                await asyncio.sleep(60)
            finally:
                self.stopped += 1

    tools = Hanging()
    turn = calls(*(call({"expression": f"{place}"}, call_id=f"c{place}") for place in range(3)))
    task = asyncio.create_task(answered(turn, tools=tools))
    while len(tools.calls) < 3:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert tools.stopped == 3


async def test_a_trace_with_calls_is_replayed():
    said = (calls(call({"expression": "6*7"}, call_id="z")), "42")
    answer, _, trace = await answered(*said)
    recorded = json.loads(json.dumps(trace.as_json()))
    model = Replay(calls_of(recorded))
    loop = asyncio.get_running_loop()
    ask = Ask(model, Purse(Budget(), loop.time), Trace(), math.inf, loop.time, calls_tools=True)
    assert await React().using(Tools()).answer(QUESTION, ask) == answer
    assert model.left == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.floats(allow_nan=True),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "id": JSON | st.sampled_from(["c1", "c2", ""]),
        "type": JSON,
        "function": JSON
        | st.fixed_dictionaries({}, optional={"name": JSON | st.just("calculator"), "arguments": JSON}),
        "extra_content": JSON,
    },
)
MESSAGES = st.fixed_dictionaries({"tool_calls": JSON | st.lists(PARTS | JSON, max_size=4)})


@given(MESSAGES)
def test_whatever_stands_in_a_message_can_be_read(message):
    found = called_in(message, 0)
    assert len({each.id for each in found}) == len(found) <= MOST_CALLS
    for each in found:
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", each.tool)
        assert (each.arguments is None) == bool(each.fault)


TURNS = st.lists(MESSAGES | st.text(max_size=9), min_size=9, max_size=9)


@given(TURNS, st.lists(st.booleans(), min_size=1))
def test_whatever_is_said_and_shown_it_ends(said, oks):
    tools = Tools(*(Shown(f"{place}", ok) for place, ok in enumerate(oks)))
    answer, model, trace = asyncio.run(answered(*said, tools=tools, how=React(steps=8)))
    assert len(model.asked) <= 9
    assert answer.ended in {"done", "steps", "malformed", "repeated", "tool_errors"}
    assert sum(step.used.calls for step in trace.steps) == len(model.asked)
    for messages, _ in model.asked:
        waiting = []
        for message in messages:  # every call is answered, in order, before anything else is said
            if message["role"] == "tool":
                assert message["tool_call_id"] == waiting.pop(0)
                continue
            assert not waiting
            waiting = [each["id"] for each in message.get("tool_calls", ())]
            assert all(
                isinstance(json.loads(each["function"]["arguments"]), dict)
                for each in message.get("tool_calls", ())
            )
