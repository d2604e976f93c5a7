"""What is said while it is thought: never more than the thought will be, however it is cut."""

import asyncio
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from reasoning_scripted import Scripted, asking, question, run

from zoran_ray.reasoning.aloud import before_marker, stripped
from zoran_ray.reasoning.answers import EMPHASIS, final_answer
from zoran_ray.reasoning.completion import Completions, Hear, Message, Sampling
from zoran_ray.reasoning.cot import ChainOfThought
from zoran_ray.reasoning.reflexion import Reflexion
from zoran_ray.reasoning.registry import strategy_of
from zoran_ray.reasoning.self_consistency import SelfConsistency
from zoran_ray.reasoning.strategy import Strategy
from zoran_ray.reasoning.trace import Piece, Trace
from zoran_ray.reasoning.verifiers import Exact

PIECES = st.lists(
    st.sampled_from(["Answer:", "ANSWER", ":", "Ans", "wer:", " ", "**", "two", "\n", "a", "éſ"])
)


class Speaking(Scripted):
    """Says its answers a sign at a time."""

    async def spoken(
        self, messages: Sequence[Message], sampling: Sampling, hear: Hear, *, deadline: float
    ) -> Completions:
        answer = await self(messages, sampling, deadline=deadline)
        for sign in answer.choices[0].text:
            hear(sign)
            await asyncio.sleep(0)
        return answer


def heard_of(strategy: Strategy, model: Any, verifier: Any = None) -> tuple[list[Piece], Trace]:
    """What was heard while a strategy thought, and its trace."""
    pieces: list[Piece] = []

    async def asked() -> Trace:
        ask = asking(model)
        ask.trace = Trace(spoken=pieces.append)
        await strategy.answer(question("How many?"), ask, verifier)
        return ask.trace

    trace: Trace = run(asked())
    return pieces, trace


@given(PIECES, st.sampled_from(["Answer:", "aa", "#"]))
def test_a_beginning_of_the_thought_is_heard(pieces: list[str], marker: str) -> None:
    heard: list[str] = []
    feed = before_marker(heard.append, marker)
    for piece in pieces:
        feed(piece)
    text = "".join(pieces)
    thought, _, marked = final_answer(text, marker)
    said = "".join(heard)
    whole = thought if marked else text.strip(EMPHASIS)
    assert whole.startswith(said)
    if not marked:
        assert said == text[: max(0, len(text) - len(marker) + 1)].strip(EMPHASIS)


@given(PIECES)
def test_a_stripped_text_is_heard_whole(pieces: list[str]) -> None:
    heard: list[str] = []
    feed = stripped(heard.append)
    for piece in pieces:
        feed(piece)
    assert "".join(heard) == "".join(pieces).strip()


def test_a_thought_is_heard_before_its_step_and_under_its_number() -> None:
    text = "Two and two.\n**Answer:** 4"
    pieces, trace = heard_of(ChainOfThought(), Speaking(lambda prompt, call: text))
    assert "".join(piece.text for piece in pieces) == "Two and two."
    assert {(piece.id, piece.parent, piece.strategy, piece.kind) for piece in pieces} == {
        (1, 0, "cot", "thought")
    }
    assert [step.text for step in trace.steps] == ["Two and two.", "4"]


def test_hearing_changes_nothing_of_what_is_decided_and_recorded() -> None:
    said = ["x\nAnswer: 1", "Because.", "y\nAnswer: 4"]
    for strategy in (ChainOfThought(), Reflexion(), strategy_of("draft-critique-revise")):
        model, deaf = Speaking(lambda p, call: said[call]), Scripted(lambda p, call: said[call])
        _, aloud = heard_of(strategy, model, Exact("4"))
        _, silent = heard_of(strategy, deaf, Exact("4"))
        steps = [[(s.id, s.parent, s.kind, s.text, s.used) for s in t.steps] for t in (aloud, silent)]
        assert steps[0] == steps[1]
        assert aloud.calls == silent.calls


def test_each_attempt_and_each_step_is_heard_one_after_the_other() -> None:
    said = ["one\nAnswer: 1", "Because.", "two\nAnswer: 4"]
    pieces, _ = heard_of(Reflexion(), Speaking(lambda p, call: said[call]), Exact("4"))
    assert "".join(piece.text for piece in pieces) == "onetwo"
    pieces, trace = heard_of(strategy_of("draft-critique-revise"), Speaking(lambda p, call: said[call]))
    texts = {n: "".join(piece.text for piece in pieces if piece.id == n) for n in (1, 2, 3)}
    assert texts == {step.id: step.text for step in trace.steps}


def test_branches_are_not_heard_in_pieces() -> None:
    pieces, _ = heard_of(SelfConsistency(samples=3), Speaking(lambda p, call: f"x\nAnswer: {call}"))
    assert pieces == []


def test_there_is_one_speaker_at_a_time() -> None:
    pieces: list[Piece] = []
    trace = Trace(spoken=pieces.append)
    first = trace.aloud("a", "thought")
    second = trace.aloud("b", "thought")
    assert first
    assert second
    first("lost")
    second("heard")
    trace.step("a", "thought", "x")
    second("too late")
    assert [(piece.strategy, piece.text) for piece in pieces] == [("b", "heard")]
    assert Trace().aloud("a", "thought") is None
