"""However calls overlap and whatever they use, no bound of a budget is ever passed."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reasoning_scripted import Scripted, asking, question, run

from zoran_ray.errors import DeadlineExceeded, UpstreamError
from zoran_ray.reasoning.best_of_n import BestOfN
from zoran_ray.reasoning.budget import Budget, BudgetSpent
from zoran_ray.reasoning.completion import Completions, Message, Sampling, Used
from zoran_ray.reasoning.cot import ChainOfThought
from zoran_ray.reasoning.reflexion import Reflexion
from zoran_ray.reasoning.self_consistency import SelfConsistency
from zoran_ray.reasoning.strategy import Strategy
from zoran_ray.reasoning.tot import TreeOfThoughts

STRATEGIES: list[Strategy] = [
    ChainOfThought(max_tokens=30),
    SelfConsistency(max_tokens=30, samples=6),
    SelfConsistency(max_tokens=30, samples=6, at_once=2),
    BestOfN(max_tokens=30, samples=4, judge="model"),
    Reflexion(max_tokens=30, judge="model"),
    TreeOfThoughts(max_tokens=30, breadth=2, branch=3, value_tokens=10),
    TreeOfThoughts(max_tokens=30, breadth=2, branch=3, value_tokens=10, search="depth"),
]
bounds = st.builds(
    Budget,
    tokens=st.none() | st.integers(0, 2_000),
    nano_usd=st.none() | st.integers(0, 6_000),
    calls=st.none() | st.integers(0, 12),
)
phrases = st.sampled_from(
    ["1. one\n2. two\n3. three", "Answer: 4", "likely", "Score: 3", "impossible", "", "so so " * 40]
)


@given(st.sampled_from(STRATEGIES), bounds, st.lists(phrases, min_size=1), st.lists(st.integers(0, 9)))
def test_no_strategy_passes_its_budget_or_raises_over_it(
    strategy: Strategy, budget: Budget, said: list[str], rounds: list[int]
) -> None:
    model = Scripted(
        lambda prompt, call: said[call % len(said)],
        lambda call: rounds[call % len(rounds)] if rounds else 1,
    )

    async def asked() -> None:
        ask = asking(model, budget)
        answer = await strategy.answer(question("What?"), ask)
        used = ask.purse.used
        assert budget.tokens is None or used.tokens <= budget.tokens
        assert budget.nano_usd is None or used.nano_usd <= budget.nano_usd
        assert budget.calls is None or used.calls <= budget.calls
        assert used.calls == len(model.prompts)
        assert ask.trace.calls or answer.ended.startswith("budget:")

    run(asked())


def test_a_call_waits_for_what_calls_that_run_give_back() -> None:
    model = Scripted(lambda prompt, call: "Answer: 1", lambda call: 3)

    async def asked() -> None:
        # Each may use 60 tokens and uses a third of that: three at once do not fit, three in turn do.
        ask = asking(model, Budget(tokens=130))
        answer = await SelfConsistency(samples=3, max_tokens=40, instruction="").answer(question("?"), ask)
        assert answer.ended in ("done", "majority")
        assert answer.detail["samples"] >= 2

    run(asked())


class Stubborn:
    """A model that is not heeding its deadline."""

    async def __call__(
        self, messages: Sequence[Message], sampling: Sampling, *, deadline: float
    ) -> Completions:
        await asyncio.sleep(60)
        raise AssertionError

    def most(self, messages: Sequence[Message], sampling: Sampling) -> Used:
        return Used(calls=1)


def test_time_that_is_over_ends_a_call_and_says_whose_time_it_was() -> None:
    async def asked() -> None:
        with pytest.raises(BudgetSpent, match="wall_s"):
            await asking(Stubborn(), Budget(wall_s=0.01)).one(question("?"), Sampling())
        with pytest.raises(DeadlineExceeded):
            await asking(Stubborn(), wall_s=0.01).one(question("?"), Sampling())
        answer = await SelfConsistency().answer(question("?"), asking(Stubborn(), Budget(wall_s=0.01)))
        assert answer.ended == "budget:wall_s"

    run(asked())


def test_an_answer_without_choices_is_an_error() -> None:
    async def asked() -> None:
        with pytest.raises(UpstreamError):
            await ChainOfThought().answer(question("?"), asking(Scripted(lambda prompt, call: [])))

    run(asked())


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.name)
def test_a_client_that_leaves_ends_everything_at_once(strategy: Strategy) -> None:
    model = Scripted(lambda prompt, call: "1. one\n2. two", lambda call: 3 if call == 0 else 10**9)

    async def asked() -> Any:
        ask = asking(model)
        task = asyncio.create_task(strategy.answer(question("?"), ask))
        for _ in range(60):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        asked_so_far = len(model.prompts)
        for _ in range(60):
            await asyncio.sleep(0)
        assert len(model.prompts) == asked_so_far == model.ended + model.cancelled

    if strategy.name != "cot":
        run(asked())
