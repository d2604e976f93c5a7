"""What every strategy stands on: one model, asked for completions of a conversation. Knows no HTTP."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

Message = Mapping[str, Any]
"""One message as in OpenAI's chat completions: `role`, `content`, and what else the caller sent."""

Hear = Callable[[str], None]
"""Is told each piece of a text as it is made. It must be quick and may not raise."""


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer of the model.

    Attributes:
        text: What it said.
        finish: Why it stopped: `stop`, `length`, …
        message: The whole message, where it has calls of tools: `tool_calls` as in OpenAI's chat
            completions. They are whatever the model wrote.
    """

    text: str = field(repr=False)
    finish: str = "stop"
    message: Message | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Used:
    """What calls did use.

    Attributes:
        calls: Calls of the model.
        prompt_tokens: Tokens of prompts, each call's counted.
        cached_tokens: Those of them that came from a prefix cache.
        completion_tokens: Tokens that were made.
        nano_usd: What it cost, in billionths of a USD.
    """

    calls: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    nano_usd: int = 0

    @property
    def tokens(self) -> int:
        """Tokens read and made."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: "Used") -> "Used":
        return Used(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.cached_tokens + other.cached_tokens,
            self.completion_tokens + other.completion_tokens,
            self.nano_usd + other.nano_usd,
        )


NOTHING_USED = Used()


@dataclass(frozen=True, slots=True)
class Completions:
    """The answers of one call, and what they used."""

    choices: tuple[Completion, ...]
    used: Used = NOTHING_USED


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a model is asked.

    Attributes:
        n: How many answers.
        temperature: 0 for the likeliest.
        max_tokens: Longest answer, in tokens.
        stop: Where it ends.
        seed: For the same answers again.
        tools: What it may call, as in OpenAI's chat completions; none for most questions.
        may_call: Whether it may call one now. A conversation with calls in it names the tools to its end.
    """

    n: int = 1
    temperature: float = 0.0
    max_tokens: int = 512
    stop: tuple[str, ...] = ()
    seed: int | None = None
    tools: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    may_call: bool = True


class Complete(Protocol):
    """Asks one model."""

    async def __call__(
        self, messages: Sequence[Message], sampling: Sampling, *, deadline: float
    ) -> Completions:
        """Answers to a conversation.

        Args:
            messages: The conversation.
            sampling: How to ask.
            deadline: When it must be over, in seconds of `time.monotonic`.

        Raises:
            ZoranError: There is none. A cancellation stops the model.
        """
        ...

    def most(self, messages: Sequence[Message], sampling: Sampling) -> Used:
        """The most that such a call may use: what is reserved before it."""
        ...


@runtime_checkable
class Speaks(Protocol):
    """A `Complete` whose answer can be heard while it is made."""

    async def spoken(
        self, messages: Sequence[Message], sampling: Sampling, hear: Hear, *, deadline: float
    ) -> Completions:
        """As `Complete`, of one answer, and the same answer, with its calls of tools.

        Args:
            hear: Told its text piece by piece. Where a call had to be begun anew, it is told no more: what
                it heard is then no beginning of the answer.
        """
        ...
