"""What is heard of a ReAct turn while it is made: a beginning of its thought, and no word of its action."""

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.reasoning.test_react import QUESTION, Tools, act
from tests.reasoning.test_react import Scripted as Texts
from tests.reasoning.test_react_calls import Calling, call, calls
from zoran_ray.reasoning.budget import Budget, Purse
from zoran_ray.reasoning.react import React
from zoran_ray.reasoning.react_aloud import content_of_turn, thought_of_turn
from zoran_ray.reasoning.react_text import Malformed, read_turn
from zoran_ray.reasoning.strategy import Ask
from zoran_ray.reasoning.thought_first import spoken as spoken_parts
from zoran_ray.reasoning.trace import Trace

PARTS = st.sampled_from(
    [
        *("Thought:", "thought", ":", "Action", " Input", ": ", "\n", "Final ", "ANSWER:", "calculator"),
        *("obſervation:", "**", "> ", "#", " ", "\t", "a", "é", "\u2028", '{"a": 1}', "Obser", "vation"),
    ]
)


def heard(listen, text, cuts):
    """What is passed on of a text that comes in pieces."""
    said = []
    feed = listen(said.append)
    for start, end in pairwise(sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})):
        feed(text[start:end])
    return "".join(said)


CUTS = st.sets(st.integers(0, 120))


@given(st.lists(PARTS, max_size=20).map("".join), CUTS, st.booleans())
def test_a_beginning_of_the_thought_is_heard_and_all_of_it_but_its_end(text, cuts, reasons):
    said = heard(thought_of_turn, f"<think>Action: x</think>{text}" if reasons else text, cuts)
    try:
        thought = read_turn(text).thought
    except Malformed:
        return
    assert thought.startswith(said)
    assert "\n" not in thought.removeprefix(said).lstrip()  # at most its last line is missing


@given(CUTS)
def test_of_a_turn_as_it_was_asked_for_the_whole_thought_is_heard(cuts):
    text = "Thought: I multiply:\n**so**, 6*7\n\nAction: calculator\nAction Input: {}"
    assert heard(thought_of_turn, text, cuts) == "I multiply:\n**so**, 6*7"


@given(st.lists(PARTS, max_size=12).map("".join), st.text("a <>/think\n", max_size=20), CUTS)
def test_of_native_turns_the_thought_or_the_text_is_heard(text, thought, cuts):
    assert text.strip().startswith(said := heard(content_of_turn, text, cuts))
    assert said == text.strip()
    whole = f"\n<think>{thought}</think>{text}"
    found = spoken_parts(whole)[0]
    if "think>" not in thought:
        assert heard(content_of_turn, whole, cuts) == found


def test_nothing_is_heard_of_a_line_that_does_not_begin():
    text = "*" * 20_000
    assert heard(thought_of_turn, text, range(0, 20_000, 10)) == ""
    assert heard(thought_of_turn, "a" * 20_000, [10]) == "a" * 20_000


class Speaking:
    """Says each turn of a scripted model a sign at a time."""

    def __init__(self, model):
        self._model, self.most = model, model.most

    async def __call__(self, messages, sampling, *, deadline):
        return await self._model(messages, sampling, deadline=deadline)

    async def spoken(self, messages, sampling, hear, *, deadline):
        answer = await self(messages, sampling, deadline=deadline)
        for sign in answer.choices[0].text:
            hear(sign)
        return answer


async def run(model, *, native=False, aloud=True):
    pieces = []
    trace = Trace(spoken=pieces.append if aloud else None, clock=lambda: 0.0)
    purse = Purse(Budget(), lambda: 0.0)
    ask = Ask(Speaking(model), purse, trace, 1e9, lambda: 0.0, calls_tools=native)
    answer = await React().using(Tools()).answer(QUESTION, ask)
    return answer, trace, pieces


def by_step(pieces, trace):
    """What was heard of each step, which it says it is of."""
    for piece in pieces:
        step = trace.steps[piece.id - 1]
        assert (piece.parent, piece.strategy) == (step.parent, step.strategy)
    numbers = dict.fromkeys(piece.id for piece in pieces)
    return {number: "".join(piece.text for piece in pieces if piece.id == number) for number in numbers}


async def test_the_thought_of_each_turn_is_heard_under_its_steps_number():
    turns = (act("6*7"), "<think>Thought: no</think>Thought: Now I know.\nFinal Answer: 42")
    answer, trace, pieces = await run(Texts(*turns))
    assert answer.text == "42"
    assert (
        by_step(pieces, trace)
        == {step.id: step.text for step in trace.steps if step.kind == "thought"}
        == {1: "Compute.", 4: "Now I know."}
    )


async def test_a_malformed_turn_and_a_last_word_are_heard_too():
    turns = ("I do not know", "Thought: hm", "Thought: Well.\nFinal Answer: 42")
    answer, trace, pieces = await run(Texts(*turns))
    assert (answer.text, answer.ended) == ("42", "malformed")
    assert by_step(pieces, trace) == {1: "I do not know", 2: "hm", 3: "Well."}


async def test_the_text_before_native_calls_is_heard():
    model = Calling(calls(call({"expression": "6*7"}), text="I compute."), "<think>Fine.</think>42")
    answer, trace, pieces = await run(model, native=True)
    assert answer.text == "42"
    assert by_step(pieces, trace) == {1: "I compute.", 4: "Fine."}


async def test_hearing_changes_nothing():
    for said, native in ((act("1"), False), (calls(call({"expression": "1"}), text="x"), True)):
        kind = Calling if native else Texts
        both = [
            await run(kind(said, "Final Answer: 1"), native=native, aloud=aloud) for aloud in (True, False)
        ]
        (loud, trace, pieces), (silent, deaf, nothing) = both
        assert pieces
        assert not nothing
        assert loud == silent
        assert json.dumps(trace.as_json()) == json.dumps(deaf.as_json())
