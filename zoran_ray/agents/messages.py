"""What is said between the process that hosts a role and whoever asks models and verifiers for it.

The host never reaches a model itself. It says what it wants to be asked, and hears what came out: so keys,
budgets, privacy and prices stay where they are for every other request, and once the asking side is gone
nothing more is spent. Frozen, and fit to be pickled.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zoran_ray.errors import ZoranError
from zoran_ray.reasoning.completion import Completions, Message, Sampling
from zoran_ray.reasoning.strategy import Answer
from zoran_ray.reasoning.trace import Step
from zoran_ray.reasoning.verifier import Verdict


@dataclass(frozen=True, slots=True)
class Job:
    """One conversation to be answered.

    Attributes:
        id: Never used before.
        messages: The conversation as the model may see it.
        left_s: Time until it must be over, in seconds.
        budget_s: Time that the caller's budget leaves, in seconds; None for no bound.
        parameters: What the caller says to the role.
        judged: Whether there is a verifier.
    """

    id: str
    messages: tuple[Message, ...] = field(repr=False)
    left_s: float
    budget_s: float | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict, repr=False)
    judged: bool = False


@dataclass(frozen=True, slots=True)
class Want:
    """A call of the model, or of the verifier where there is an answer to judge.

    Attributes:
        number: Of the call, within its job.
    """

    number: int
    messages: tuple[Message, ...] = field(default=(), repr=False)
    sampling: Sampling = Sampling()  # noqa: RUF009 - frozen
    judge: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came out of a call: one of the four.

    Attributes:
        spent: Which bound of the caller's budget the call did not fit into.
    """

    number: int
    completions: Completions | None = None
    verdict: Verdict | None = None
    error: ZoranError | None = None
    spent: str = ""


@dataclass(frozen=True, slots=True)
class Heard:
    """What happened in a job since it was last heard of.

    Attributes:
        wants: Calls to be made now.
        dropped: Numbers of calls that nobody waits for any more.
        steps: What was thought.
        answer: The end, where it came; `error` where it failed.
    """

    wants: tuple[Want, ...] = ()
    dropped: tuple[int, ...] = ()
    steps: tuple[Step, ...] = field(default=(), repr=False)
    answer: Answer | None = None
    error: ZoranError | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more comes."""
        return self.answer is not None or self.error is not None
