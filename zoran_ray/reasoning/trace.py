"""What a strategy did, step by step: events as they happen, and all of them together."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from zoran_ray.reasoning.completion import NOTHING_USED, Completions, Hear, Message, Sampling, Used

Kind = Literal["thought", "value", "action", "observation", "verdict", "reflection", "answer", "note"]


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes:
        id: Number of the step, from 1.
        parent: Number of the step it follows from; 0 for none.
        strategy: Whose step.
        kind: What it is.
        text: What was thought, done or seen.
        used: What its call used; of several steps of one call the first has it.
        at_s: Seconds since the request began.
        detail: What else is known, as plain values: a state's value, a tool's name, a verdict.
    """

    id: int
    parent: int
    strategy: str
    kind: Kind
    text: str = field(repr=False)
    used: Used = NOTHING_USED
    at_s: float = 0.0
    detail: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Piece:
    """Some more of a thought whose call still runs. It is heard and not kept: the step says all of it.

    Attributes:
        id: Number that the step will have.
        kind: What it will be, as far as one can tell: a thought that never comes to its marker was an
            answer all along.
        text: What has come since the last piece.
    """

    id: int
    parent: int
    strategy: str
    kind: Kind
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the model as it was made, so that a trace can be replayed."""

    messages: tuple[Message, ...] = field(repr=False)
    sampling: Sampling
    answer: Completions


class Trace:
    """Steps of one request.

    Args:
        heard: Called with each step when it happens; it must be quick and may not raise.
        clock: Monotonic seconds.
        spoken: Called with each piece of a thought while it is thought; None: nobody listens.

    Attributes:
        steps: All so far.
        calls: The calls that were made, in the order of their ends.
    """

    def __init__(
        self,
        heard: Callable[[Step], None] = lambda step: None,
        clock: Callable[[], float] = time.monotonic,
        spoken: Callable[[Piece], None] | None = None,
    ) -> None:
        self._heard = heard
        self._spoken = spoken
        self._speaker: object = None
        self._clock = clock
        self._began = clock()
        self.steps: list[Step] = []
        self.calls: list[Call] = []

    def step(
        self,
        strategy: str,
        kind: Kind,
        text: str,
        *,
        parent: int = 0,
        used: Used = NOTHING_USED,
        **detail: Any,
    ) -> int:
        """Notes a step. Returns: Its number."""
        at_s = self._clock() - self._began
        made = Step(len(self.steps) + 1, parent, strategy, kind, text, used, at_s, detail)
        self.steps.append(made)
        self._heard(made)
        return made.id

    def aloud(self, strategy: str, kind: Kind, parent: int = 0) -> Hear | None:
        """What hears the next step of a strategy while it is thought; None where nobody listens.

        For a call that is waited for alone. Of branches that run at the same time nobody could follow the
        words, and most of them lead nowhere: each is heard as a whole when it has ended. So there is one
        speaker at a time, the last who asked, and he is silenced by any other step.
        """
        if self._spoken is None:
            return None
        spoken, number = self._spoken, len(self.steps) + 1

        def hear(text: str) -> None:
            if text and self._speaker is hear and len(self.steps) + 1 == number:
                spoken(Piece(number, parent, strategy, kind, text))

        self._speaker = hear
        return hear

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        return {
            "steps": [asdict(step) for step in self.steps],
            "calls": [asdict(call) for call in self.calls],
        }
