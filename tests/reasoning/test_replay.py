"""What was thought once is gone through again from the trace alone."""

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reasoning_scripted import Scripted, asking, question, run

from zoran_ray.errors import InvalidRequest, RecordNotFound
from zoran_ray.reasoning.best_of_n import BestOfN
from zoran_ray.reasoning.budget import Budget
from zoran_ray.reasoning.cot import ChainOfThought
from zoran_ray.reasoning.reflexion import Reflexion
from zoran_ray.reasoning.replay import Replay, calls_of
from zoran_ray.reasoning.self_consistency import SelfConsistency
from zoran_ray.reasoning.strategy import Ask, Strategy
from zoran_ray.reasoning.tot import TreeOfThoughts
from zoran_ray.reasoning.verifiers import Exact

STRATEGIES: list[Strategy] = [
    ChainOfThought(),
    SelfConsistency(samples=6),
    SelfConsistency(samples=6, at_once=2, seed=3),
    BestOfN(samples=5),
    Reflexion(),
    TreeOfThoughts(breadth=2, branch=3, value_samples=1),
    TreeOfThoughts(breadth=2, branch=3, search="depth", samples=2),
]
SAID = ["1. one\n2. two\n3. Answer: 3", "Well.\nAnswer: 4", "likely", "sure", "impossible", "Answer: 5"]


def steps_of(ask: Ask) -> list[dict[str, Any]]:
    return [{**step, "at_s": 0} for step in ask.trace.as_json()["steps"]]


@given(st.sampled_from(STRATEGIES), st.randoms(use_true_random=False), st.none() | st.integers(0, 9))
def test_a_replay_gives_the_same_steps_and_the_same_answer(
    strategy: Strategy, random: Random, calls: int | None
) -> None:
    model = Scripted(
        lambda prompt, call: random.choices(SAID, k=model.samplings[call].n),
        # Time passes between the ends of calls: what one of them brings about is done before the next.
        lambda call: 100 * random.randrange(1, 50) + 7 * call,
    )

    async def asked() -> None:
        first = asking(model, Budget(calls=calls))
        answer = await strategy.answer(question("How many?"), first, Exact("5"))
        recorded = calls_of(json.loads(json.dumps(first.trace.as_json())))
        replay = Replay(recorded, model.most)
        # Calls that were cancelled then count against the budget of then, and are not in the trace.
        second = asking(replay, Budget(calls=calls))
        again = await strategy.answer(question("How many?"), second, Exact("5"))
        assert again == answer
        assert steps_of(second) == steps_of(first)
        assert replay.left == 0

    run(asked())


def test_a_call_that_was_never_made_is_an_error() -> None:
    async def asked() -> None:
        first = asking(Scripted(lambda prompt, call: "Answer: 1"))
        await ChainOfThought().answer(question("a"), first)
        replay = Replay(first.trace.calls, patience_s=0.01)
        with pytest.raises(RecordNotFound):
            await ChainOfThought().answer(question("b"), asking(replay))
        with pytest.raises(RecordNotFound):
            await ChainOfThought(temperature=1).answer(question("a"), asking(replay))
        assert replay.left == 1

    run(asked())


@pytest.mark.parametrize("trace", [{}, {"calls": 1}, {"calls": [{}]}, {"calls": ["x"]}, {"calls": [None]}])
def test_what_is_no_trace_is_said(trace: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="no trace"):
        calls_of(trace)
