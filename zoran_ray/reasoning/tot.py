"""Tree of thoughts: many next steps are tried, the most promising are gone on with.

Source: Yao et al., Tree of Thoughts: Deliberate Problem Solving with Large Language Models, 2023,
algorithms 1 (breadth first) and 2 (depth first).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Generic, Literal, TypeVar

from pydantic import Field

from zoran_ray.reasoning.answers import MARKER
from zoran_ray.reasoning.completion import Message, Sampling
from zoran_ray.reasoning.countdown import Countdown
from zoran_ray.reasoning.judging import Jury
from zoran_ray.reasoning.parameters import Parameters
from zoran_ray.reasoning.problem import Problem
from zoran_ray.reasoning.strategy import Answer, Ask
from zoran_ray.reasoning.text_problem import TextProblem
from zoran_ray.reasoning.together import Together, unanswered, why
from zoran_ray.reasoning.tree import MOST_VALUE, VALUES, Growth, Node, Tree
from zoran_ray.reasoning.verifier import Verifier

S = TypeVar("S")


class TreeOfThoughts(Parameters):
    """A search among steps that the model proposes and values."""

    name: ClassVar[str] = "tot"

    temperature: float = Field(default=0.7, ge=0, le=2, allow_inf_nan=False)
    """For proposals; 0 for the likeliest."""
    problem: Literal["text", "countdown"] = "text"
    """`text`: any question, in steps of plain words. `countdown`: numbers and a target, exact rules."""
    search: Literal["breadth", "depth"] = "breadth"
    """Which states are gone on with: the best of each level, or the best child first, with a way back."""
    breadth: int = Field(default=5, ge=1, le=32)
    """How many states of a level are kept."""
    depth: int = Field(default=3, ge=1, le=16)
    """Most steps to an answer. `countdown` knows its own depth."""
    branch: int = Field(default=8, ge=1, le=64)
    """Most new states from one."""
    samples: int = Field(default=1, ge=1, le=32)
    """Answers to each request for steps: 1 lists several, more are samples of one each."""
    value_samples: int = Field(default=3, ge=1, le=16)
    """Judgements of each state; their mean counts."""
    value_temperature: float = Field(default=0.7, ge=0, le=2, allow_inf_nan=False)
    """For judgements."""
    value_tokens: int = Field(default=128, ge=1, le=8_192)
    """Longest judgement."""
    flat_levels: int | None = Field(default=2, ge=1, le=16)
    """Ends after so many levels whose best value is no better than before and not `sure`; unset: never."""
    marker: str = Field(default=MARKER, min_length=1, max_length=100)
    """Begins the step that gives the answer, in `text`."""

    async def answer(
        self, messages: Sequence[Message], ask: Ask, verifier: Verifier | None = None
    ) -> Answer:
        """As `Strategy`. A puzzle brings its own verifier.

        Raises:
            InvalidRequest: `countdown` found no puzzle in the question.
        """
        if self.problem == "countdown":
            puzzle = Countdown.of(messages)
            return await self.solve(puzzle, ask, verifier or puzzle.verifier)
        text = TextProblem(messages, self.depth, self.branch if self.samples == 1 else 1, self.marker)
        return await self.solve(text, ask, verifier)

    async def solve(self, problem: Problem[S], ask: Ask, verifier: Verifier | None = None) -> Answer:
        """Searches any problem. Args and errors are those of `answer`."""
        tree = Tree(problem, ask, Jury(verifier, ask, self.name), self._growth(), self.name)
        search = _Search(tree, self.breadth, self.flat_levels, verifier is not None)
        ended = await (search.breadth_first() if self.search == "breadth" else search.depth_first())
        if not tree.nodes and tree.trouble:
            return unanswered(tree.trouble)
        return _told(tree, ended, verifier is not None)

    def _growth(self) -> Growth:
        value = Sampling(
            n=self.value_samples, temperature=self.value_temperature, max_tokens=self.value_tokens,
            seed=self.seed,
        )  # fmt: skip
        return Growth(self.branch, self.sampling(n=self.samples), value)


@dataclass(slots=True)
class _Search(Generic[S]):
    """Goes through a tree; says why it ended.

    Attributes:
        tree: The tree.
        breadth: How many states of a level are kept.
        flat_levels: Ends after so many levels without a better value.
        judged: Whether a verifier says which answers are right.
    """

    tree: Tree[S]
    breadth: int
    flat_levels: int | None
    judged: bool

    async def breadth_first(self) -> str:
        """Keeps the best of each level. All of a level are asked at the same time."""
        level, best, flat = [self.tree.root], 0.0, 0
        for _ in range(self.tree.problem.depth):
            children: list[Node[S]] = []
            async with Together([partial(self.tree.expand, node) for node in level]) as running:
                async for found in running:
                    children += found
                    if end := self._solved(found):
                        return end  # what runs still is cancelled
            self.tree.trouble = self.tree.trouble or running.trouble
            if self.tree.trouble:
                return why(self.tree.trouble)
            level = _best([node for node in children if node.answer is None])[: self.breadth]
            if not level:
                return "done" if any(node.answer is not None for node in children) else "empty"
            flat = flat + 1 if best >= level[0].value < MOST_VALUE else 0
            best = max(best, level[0].value)
            if flat == self.flat_levels:
                return "flat"
        return "depth"

    async def depth_first(self) -> str:
        """Goes on with the best child; comes back where none is left that may lead anywhere."""
        stack = [self.tree.root]
        expansions = self.breadth * self.tree.problem.depth
        while stack and expansions:
            node, expansions = stack.pop(), expansions - 1
            async with Together([partial(self.tree.expand, node)]) as running:
                children = [child async for found in running for child in found]
            if end := self._solved(children):
                return end
            self.tree.trouble = self.tree.trouble or running.trouble
            if self.tree.trouble:
                return why(self.tree.trouble)
            hopeful = [child for child in children if child.answer is None and self._hopeful(child)]
            stack += reversed(_best(hopeful)[: self.breadth])
        return "expansions" if stack else "empty"

    def _hopeful(self, node: Node[S]) -> bool:
        judged_out = 0 < node.value <= VALUES["impossible"]
        return node.level < self.tree.problem.depth and not judged_out

    def _solved(self, found: Sequence[Node[S]]) -> str | None:
        """Whether the search is over: a right answer, or, where nobody can tell, a sure one."""
        if any(node.right for node in found):
            return "verified"
        if not self.judged and any(n.answer is not None and n.value >= MOST_VALUE for n in found):
            return "done"
        return None


def _best(nodes: Sequence[Node[S]]) -> list[Node[S]]:
    """The best first; of equals the one found first."""
    return sorted(nodes, key=lambda node: (-node.value, node.step))


def _told(tree: Tree[S], ended: str, judged: bool) -> Answer:
    """The best answer so far: right before unknown before wrong, and any of them before mere steps."""
    detail: dict[str, Any] = {"states": len(tree.nodes), "judged_by": "verifier" if judged else "model"}
    if not tree.nodes:
        return Answer("", ended, None, detail)
    best = max(tree.nodes, key=_rank)
    detail["level"], detail["value"] = best.level, best.value
    text = best.answer if best.answer is not None else tree.problem.show(best.state)
    return Answer(text, ended, best.right, {**detail, "finished": best.answer is not None})


def _rank(node: Node[S]) -> tuple[int, int, float, int]:
    if node.answer is None:
        return 0, node.level, node.value, -node.step
    return (1 if node.right is False else 3 if node.right else 2), 0, node.value, -node.step
