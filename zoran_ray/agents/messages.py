"""What is said between the process that hosts a role and whoever asks models and verifiers for it.

The host reaches no model, no tool and no memory itself. It says what it wants, and hears what came out: so
keys, budgets, privacy, prices, the policy and the journal stay where they are for every other request, and
once the asking side is gone nothing more is spent. Frozen, and fit to be pickled.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zoran_ray.errors import ZoranError
from zoran_ray.reasoning.completion import Completions, Message, Sampling
from zoran_ray.reasoning.searching import Found
from zoran_ray.reasoning.strategy import Answer
from zoran_ray.reasoning.trace import Step
from zoran_ray.reasoning.verifier import Verdict
from zoran_ray.tools.tool import Observation
from zoran_ray.tools.toolbox import Offer


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
        searches: Whether there is something to search.
        calls_tools: See `reasoning.Ask`.
    """

    id: str
    messages: tuple[Message, ...] = field(repr=False)
    left_s: float
    budget_s: float | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict, repr=False)
    judged: bool = False
    searches: bool = False
    calls_tools: bool = False


@dataclass(frozen=True, slots=True)
class Use:
    """A call of one of the request's tools.

    Attributes:
        name: Whatever the model wrote.
        arguments: Whatever the model wrote, decoded.
        left_s: Time until it must be over, in seconds.
    """

    name: str
    arguments: Mapping[str, Any] = field(repr=False)
    left_s: float


@dataclass(frozen=True, slots=True)
class Find:
    """A search in what the request may search; see `reasoning.Search`.

    Attributes:
        left_s: Time until it must be over, in seconds.
    """

    query: str = field(repr=False)
    limit: int
    left_s: float


@dataclass(frozen=True, slots=True)
class Want:
    """A call of the model; or another thing where one of the last four is said.

    Attributes:
        number: Of the call, within its job.
        judge: An answer, for the verifier.
        opens: Which tools the request may use.
        use: One of them.
        find: Passages.
    """

    number: int
    messages: tuple[Message, ...] = field(default=(), repr=False)
    sampling: Sampling = Sampling()  # noqa: RUF009 - frozen
    judge: str | None = field(default=None, repr=False)
    opens: bool = False
    use: Use | None = None
    find: Find | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What came out of a want: one of these.

    Attributes:
        offers: The tools that may be used.
        seen: What a tool showed.
        found: Passages.
        spent: Which bound of the caller's budget the call did not fit into.
    """

    number: int
    completions: Completions | None = None
    verdict: Verdict | None = None
    offers: tuple[Offer, ...] | None = field(default=None, repr=False)
    seen: Observation | None = None
    found: tuple[Found, ...] | None = None
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
