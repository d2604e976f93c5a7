"""What a tree of thoughts is grown on: states, steps between them, and prompts. Knows no search."""

from collections.abc import Hashable, Sequence
from typing import Protocol, TypeVar

from zoran_ray.reasoning.completion import Message

S = TypeVar("S")


class Problem(Protocol[S]):
    """One problem, solved step by step.

    The messages of all prompts begin alike and differ at their end, so that calls share the engine's cache.
    """

    @property
    def depth(self) -> int:
        """Most steps to an answer."""
        ...

    def start(self) -> S:
        """The state before the first step."""
        ...

    def propose(self, state: S) -> Sequence[Message]:
        """Asks for possible next steps."""
        ...

    def steps(self, said: str) -> Sequence[str]:
        """The steps in what the model said to `propose`, as it wrote them."""
        ...

    def legal(self, state: S, step: str) -> S | None:
        """The state after a step; None where the step breaks a rule."""
        ...

    def key(self, state: S) -> Hashable:
        """Equal for states that are the same, however they were reached."""
        ...

    def value(self, state: S) -> Sequence[Message]:
        """Asks whether a state can lead to an answer: `sure`, `likely` or `impossible`."""
        ...

    def answer(self, state: S) -> str | None:
        """The answer, where a state is at its end: right or wrong. None where steps are missing."""
        ...

    def show(self, state: S) -> str:
        """The state in words: for the trace, and as an answer where nothing better was found."""
        ...
