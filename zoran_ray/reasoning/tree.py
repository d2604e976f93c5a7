"""A tree of thoughts as it grows: steps proposed, checked, merged, valued. Knows no order of search."""

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from zoran_ray.reasoning.completion import NOTHING_USED, Sampling, Used
from zoran_ray.reasoning.judging import Jury
from zoran_ray.reasoning.problem import Problem
from zoran_ray.reasoning.strategy import Ask
from zoran_ray.reasoning.together import Together, Trouble

S = TypeVar("S")

VALUES = {"sure": 20.0, "likely": 1.0, "impossible": 0.001}
"""What the words of a judgement are worth. Source: Yao et al., Tree of Thoughts, 2023, and its code."""

MOST_VALUE = VALUES["sure"]
_JUDGED = re.compile(r"\b(sure|likely|impossible)\b", re.IGNORECASE)


@dataclass(slots=True)
class Node(Generic[S]):
    """A state in the tree.

    Attributes:
        state: The state.
        level: Steps from the start.
        step: Number of its step in the trace; 0 for the start.
        answer: The answer, where the state is at its end.
        value: Mean worth of the model's judgements; 0 where there is none.
        right: What the verifier said of its answer; None where nobody judged.
    """

    state: S
    level: int = 0
    step: int = 0
    answer: str | None = None
    value: float = 0.0
    right: bool | None = None


@dataclass(frozen=True, slots=True)
class Growth:
    """How a tree grows.

    Attributes:
        branch: Most new states from one.
        propose: How steps are asked for; with `n` above 1 each answer is read for steps.
        value: How judgements are asked for; the mean of `n` counts.
    """

    branch: int
    propose: Sampling
    value: Sampling


class Tree(Generic[S]):
    """Grows the tree of one request.

    Args:
        problem: What is solved.
        ask: The request.
        jury: Judges answers.
        growth: How it grows.
        strategy: Whose steps they are.

    Attributes:
        nodes: All states but the start, in the order they were found.
        trouble: Why nothing more can be asked; None while it can.
    """

    def __init__(self, problem: Problem[S], ask: Ask, jury: Jury, growth: Growth, strategy: str) -> None:
        self.problem = problem
        self.root = Node(problem.start())
        self.nodes: list[Node[S]] = []
        self.trouble: Trouble | None = None
        self._ask = ask
        self._jury = jury
        self._growth = growth
        self._strategy = strategy
        self._seen: set[Hashable] = {problem.key(self.root.state)}
        self._values: dict[Hashable, float] = {}

    async def expand(self, node: Node[S]) -> list[Node[S]]:
        """New states after a node, judged or valued. An answer that is right comes alone.

        Raises:
            BudgetSpent: Nothing could be proposed.
            ZoranError: The model did not answer.
        """
        said = await self._ask(self.problem.propose(node.state), self._growth.propose)
        # From here to the first wait nobody else runs: steps are noted in the order of the calls' ends.
        made: list[Node[S]] = []
        used, dropped = said.used, 0
        for step in self._steps([choice.text for choice in said.choices]):
            state = self.problem.legal(node.state, step)
            if state is None or (key := self.problem.key(state)) in self._seen:
                dropped += 1
            elif len(made) < self._growth.branch:
                self._seen.add(key)
                made.append(self._noted(state, node, used))
                used = NOTHING_USED
        if not made:
            self._ask.trace.step(
                self._strategy, "note", "no new legal step", parent=node.step, used=used, dropped=dropped
            )
        return await self._assessed(made)

    def _steps(self, texts: Sequence[str]) -> list[str]:
        """What was proposed, at most some steps for each that can be kept: a model may write thousands."""
        most = 8 * self._growth.branch
        return [step for text in texts for step in self.problem.steps(text)[:most]][: most * 2]

    def _noted(self, state: S, parent: Node[S], used: Used) -> Node[S]:
        answer = self.problem.answer(state)
        text = self.problem.show(state)
        level = parent.level + 1
        step = self._ask.trace.step(
            self._strategy,
            "thought",
            text,
            parent=parent.step,
            used=used,
            level=level,
            final=answer is not None,
        )
        node = Node(state, level, step, answer)
        self.nodes.append(node)
        return node

    async def _assessed(self, made: list[Node[S]]) -> list[Node[S]]:
        """Judges answers, then values what is left of the states, each at the same time as the others."""
        ends = [node for node in made if node.answer is not None and self._jury.verifier is not None]
        async with Together([partial(self._judge, node) for node in ends]) as judged:
            async for node in judged:
                if node.right:
                    return [node]
        rest = [node for node in made if node.right is None]
        async with Together([partial(self._value, node) for node in rest]) as valued:
            async for _ in valued:
                pass
        self.trouble = self.trouble or valued.trouble
        return rest

    async def _judge(self, node: Node[S]) -> Node[S]:
        assert node.answer is not None
        verdict = await self._jury.judge(node.answer, node.step)
        node.right = None if verdict is None else verdict.ok
        return node

    async def _value(self, node: Node[S]) -> None:
        key = self.problem.key(node.state)
        if key not in self._values:
            said = await self._ask(self.problem.value(node.state), self._growth.value)
            worth = [value_of(choice.text) for choice in said.choices]
            self._values[key] = sum(worth) / len(worth)
            self._ask.trace.step(
                self._strategy, "value", said.choices[0].text, parent=node.step, used=said.used,
                value=self._values[key],
            )  # fmt: skip
        node.value = self._values[key]


def value_of(said: str) -> float:
    """The worth of a judgement by its last word of `sure`, `likely` and `impossible`; 0 without one."""
    found = _JUDGED.findall(said)
    return VALUES[found[-1].lower()] if found else 0.0
