"""Which strategies are measured on which task, and how they are set up for a budget.

A call is one sampled answer: a request for n answers counts n times. With a bound on calls every contender
may use that many; with a bound on tokens they go on until nothing more fits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.reasoning.tasks.calculator import toolbox
from zoran_ray.reasoning.budget import Budget
from zoran_ray.reasoning.registry import Registry
from zoran_ray.reasoning.self_consistency import SelfConsistency
from zoran_ray.reasoning.strategy import Strategy

MOST_SAMPLES = 64
"""Where only tokens are bounded."""
_MOVE_TOKENS = 96
"""Longest text of a move: what is reserved for a call is not there for others."""
SINGLE = "single"
"""The contender that all others are compared with: one likeliest answer."""
SAMPLED = "single, sampled"
"""One answer drawn as each vote is: what a vote is made of."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One strategy with its parameters.

    Attributes:
        name: In results.
        strategy: As `Registry` knows it.
        parameters: Those that are not as usual.
        judged: Whether the strategy is given the verifier, as a caller who has one would. Whether an
            answer counts as right is always decided outside.
    """

    name: str
    strategy: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    judged: bool = False

    def made(self, seed: int) -> Strategy:
        """The strategy for one instance. Raises: InvalidRequest: There is none, or a parameter is wrong."""
        return Registry(tools=toolbox()).make(self.strategy, {**self.parameters, "seed": seed})


def contenders(task: str, budget: Budget, max_tokens: int) -> Sequence[Contender]:
    """The contenders of a task; of a task that nobody knows those that suit any question.

    Args:
        budget: Of each instance.
        max_tokens: Longest answer of a call.
    """
    calls = min(budget.calls or MOST_SAMPLES, MOST_SAMPLES)
    longest = {"max_tokens": max_tokens}
    # Few at once, so that what ends early also costs less.
    many = {**longest, "samples": calls, "at_once": min(calls, 4)}
    single = Contender(SINGLE, "cot", longest)
    sampled = Contender(SAMPLED, "cot", {**longest, "temperature": SelfConsistency().temperature})
    voting = Contender("self-consistency", "self-consistency", many)
    best = Contender("best-of-n", "best-of-n", many, judged=True)
    special = {
        "countdown": Contender("tot", "tot", _tree(calls, max_tokens), judged=True),
        "calculator": Contender("react", "react", longest),
        "implications": Contender("lot", "lot", {**longest, "extraction_tokens": 2 * max_tokens}),
        "retries": Contender(
            "reflexion", "reflexion", {**longest, "attempts": min((calls + 1) // 2, 16)}, judged=True
        ),
    }
    return [single, sampled, voting, best, *([special[task]] if task in special else [])]


def _tree(calls: int, max_tokens: int) -> Mapping[str, Any]:
    """A tree that can use its calls up on four numbers: wider where there are more of them.

    On the first level 4 moves and 4 judgements, then 8 for each state that is kept, and 4 for its end.
    """
    breadth = max(1, min(8, (calls - 8) // 12))
    return {
        "problem": "countdown", "flat_levels": None, "max_tokens": min(max_tokens, _MOVE_TOKENS),
        "samples": 4, "branch": 4, "breadth": breadth,
        "temperature": 1.0, "value_samples": 1, "value_temperature": 0.0,
    }  # fmt: skip
