"""Logic-of-Thought: what follows is told with the text; what cannot be read is told to nobody."""

import asyncio
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reasoning.test_react import Scripted
from zoran_ray.errors import UpstreamError
from zoran_ray.reasoning.budget import Budget, Purse
from zoran_ray.reasoning.completion import Used
from zoran_ray.reasoning.logic import extend
from zoran_ray.reasoning.lot import LogicOfThought
from zoran_ray.reasoning.lot_text import MOST_SENTENCES, Malformed, read_logic, sentences
from zoran_ray.reasoning.strategy import Answer, Ask
from zoran_ray.reasoning.trace import Trace
from zoran_ray.reasoning.verifier import Verdict

QUESTION = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "If it rains, the street is wet. It rains. Is the street wet?"},
]


def written(propositions, rules=(), facts=()):
    return json.dumps({"propositions": propositions, "rules": rules, "facts": facts})


LOGIC = written({"A": "it rains", "B": "the street is wet."}, [{"if": ["A"], "then": ["B"]}], ["A"])


def request(model, **budget):
    return Ask(model, Purse(Budget(**budget), lambda: 0.0), Trace(), math.inf, lambda: 0.0)


async def answered(*said, strategy=None, **budget):
    model = Scripted(*said)
    ask = request(model, **budget)
    answer = await (strategy or LogicOfThought()).answer(QUESTION, ask)
    return answer, model, ask.trace.steps


async def test_what_follows_is_told_with_the_text():
    answer, model, steps = await answered(LOGIC, "So it is.\nAnswer: yes")
    assert (answer.text, answer.ended) == ("yes", "done")
    assert answer.detail["inner"] == "cot"
    assert answer.detail["logic"] == {
        "propositions": 2,
        "rules": 2,
        "derived": 1,
        "told": 1,
        "capped": False,
    }
    (extracting, sampling), (answering, _) = model.asked
    assert sampling.max_tokens == 1024
    for asked in (extracting, answering):
        assert [message["role"] for message in asked] == ["system", "user"]
        assert asked[1]["content"].startswith(QUESTION[1]["content"])
    assert "- The street is wet.\n" in answering[1]["content"] + "\n"
    assert QUESTION[1]["content"].endswith("wet?")
    assert [(step.strategy, step.kind) for step in steps] == [
        ("lot", "thought"), ("lot", "thought"), ("cot", "thought"), ("cot", "answer"),
    ]  # fmt: skip
    assert steps[1].parent == 1
    assert sum((step.used for step in steps), Used()).calls == 2


async def test_logic_that_cannot_be_read_is_repaired_once():
    answer, model, steps = await answered('{"rules": [{"if": "A"}]}', LOGIC, "Answer: yes")
    assert answer.detail["logic"]["told"] == 1
    repair = model.asked[1][0]
    assert [message["role"] for message in repair] == ["system", "user", "assistant", "user"]
    assert "propositions" in repair[3]["content"]
    assert [step.detail.get("repair") for step in steps[:2]] == [False, True]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (["nonsense", "again"], "malformed"),
        (['{"propositions": {"A": "it rains"}, "rules": [], "facts": ["A"]}'], "no rules"),
        (['{"propositions": {"A": "a", "B": "b"}, "rules": [{"if": "A", "then": "A"}]}'], "no rules"),
        ([written({"A": "a", "B": "b"}, [{"if": "A", "then": "B"}], ["A", "not B"])], "contradictory"),
        ([written({"A": "a", "B": "b"}, [{"if": "A", "then": "B"}], ["B"])], "nothing follows"),
        ([UpstreamError("gone")], "error:upstream_error"),
    ],
)
async def test_without_logic_the_text_is_answered_as_it_is(said, why):
    answer, model, steps = await answered(*said, "Answer: yes")
    assert answer.text == "yes"
    assert answer.detail["logic"] == {"skipped": why}
    assert "What follows" not in model.asked[-1][0][-1]["content"]
    note = next(step for step in steps if step.kind == "note")
    assert note.detail == {"skipped": why}


async def test_logic_never_takes_the_room_of_the_answer():
    small = LogicOfThought(extraction_tokens=100, max_tokens=50)
    answer, model, _ = await answered("Answer: yes", strategy=small, tokens=60)
    assert answer.text == "yes"
    assert answer.detail["logic"] == {"skipped": "budget:tokens"}
    answer, model, _ = await answered("nonsense", "Answer: yes", strategy=small, calls=2)
    assert answer.text == "yes"
    assert len(model.asked) == 2


async def test_a_budget_too_small_for_anything_is_told():
    answer, model, _ = await answered(calls=0)
    assert (answer.text, answer.ended) == ("", "budget:calls")
    assert not model.asked


async def test_another_strategy_may_answer():
    class Inner:
        name = "inner"

        async def answer(self, messages, ask, verifier=None):
            verdict = await verifier(messages[-1]["content"])
            return Answer("from inside", "verified", verdict.ok, {"votes": 3})

    class Wet:
        name = "wet"

        async def __call__(self, answer):
            return Verdict("The street is wet." in answer)

    lot = LogicOfThought().around(Inner())
    answer = await lot.answer(QUESTION, request(Scripted(LOGIC)), Wet())
    assert (answer.text, answer.ended, answer.verified) == ("from inside", "verified", True)
    assert answer.detail["votes"] == 3


async def test_a_cancellation_is_no_reason_to_go_on():
    class Slow(Scripted):
        async def __call__(self, messages, sampling, *, deadline):
            self.asked.append(messages)
            await asyncio.sleep(60)

    model = Slow()
    task = asyncio.create_task(LogicOfThought().answer(QUESTION, request(model)))
    while not model.asked:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(model.asked) == 1


def told(text):
    logic = read_logic(text)
    return sentences(extend(logic.rules).derived, logic.statements)


def test_sentences_of_every_form():
    statements = {"A": "it rains", "B": "Anna  is\nout!", "C": "Ben is in"}
    rule = {"if": "A and not B", "then": ["C"]}
    assert told(written(statements, [rule])) == [
        "If it is not the case that Anna is out and it is not the case that Ben is in,"
        " then it is not the case that it rains.",
        "If it rains and it is not the case that Ben is in, then Anna is out.",
    ]
    assert told(written(statements, [rule], ["A", "¬C"])) == ["Anna is out."]
    assert told(written(statements, [rule], ["not B", "not C"])) == ["It is not the case that it rains."]


def test_logic_is_found_whatever_stands_around_it():
    text = f'<think>{{"rules": 1}} hm</think> Here {{it}} is {{}}:\n```json\n{LOGIC}\n```\nDone {{.'
    assert told(text) == ["The street is wet."]


def test_only_so_much_is_told():
    letters = {f"P{number}": f"statement {number}" for number in range(20)}
    rules = [{"if": f"P{number}", "then": f"P{number + 1}"} for number in range(19)]
    assert len(told(json.dumps({"propositions": letters, "rules": rules}))) == MOST_SENTENCES


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "{" * 100_000,
        '{"rules": []}',
        written([]),
        written({"A": ""}),
        written({"A": 3}),
        written({"not A": "x"}),
        written({"A": "x"}, [{"if": "A", "then": "B"}]),
        written({"A": "x"}, {"A": "B"}),
        written({"A": "x"}, [7]),
        written({"A": "x"}, [{"if": ["A"] * 9, "then": "A"}]),
        written({"A": "x"}, [{"if": "A", "then": "A"}] * 97),
        written({"A": "x"}, facts=[["A"]]),
        written({"A": "x"}, facts=["A or B"]),
        written({"A": "x"}, facts=["A"] * 97),
        written({f"P{number}": "x" for number in range(65)}),
        '{"rules": ' + "[" * 40_000 + "]" * 9_000,
    ],
)
def test_what_is_no_logic_is_refused_with_a_reason(text):
    with pytest.raises(Malformed, match=r"."):
        read_logic(text)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["A", "not A", "B", "A and B", ""])
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["if", "then", "A", "B", "not A"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(values, values, values)
def test_any_json_is_logic_or_refused(propositions, rules, facts):
    try:
        lines = told(json.dumps({"propositions": propositions, "rules": rules, "facts": facts}))
    except Malformed:
        return
    assert all(isinstance(line, str) and "\n" not in line for line in lines)
