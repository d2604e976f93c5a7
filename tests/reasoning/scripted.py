"""A model that says what a function says, in the order that a test wants. No time passes in it."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from zoran_ray.reasoning.budget import Budget, Purse
from zoran_ray.reasoning.completion import Completion, Completions, Message, Sampling, Used
from zoran_ray.reasoning.strategy import Ask
from zoran_ray.reasoning.trace import Trace

Said = str | Sequence[str]
Say = Callable[[str, int], Said]


class Scripted:
    """A model.

    Args:
        say: What it says to a prompt, given with the number of the call, from 0.
        rounds: How many rounds of the loop call number `i` takes: who has fewer ends sooner.

    Attributes:
        prompts: Every prompt it was asked, as text.
        samplings: How it was asked.
        ended: Calls that came to their end.
        cancelled: Calls that did not.
    """

    def __init__(self, say: Say, rounds: Callable[[int], int] = lambda call: 1) -> None:
        self._say = say
        self._rounds = rounds
        self.prompts: list[str] = []
        self.samplings: list[Sampling] = []
        self.ended = 0
        self.cancelled = 0

    async def __call__(
        self, messages: Sequence[Message], sampling: Sampling, *, deadline: float
    ) -> Completions:
        number, prompt = len(self.prompts), as_text(messages)
        self.prompts.append(prompt)
        self.samplings.append(sampling)
        try:
            for _ in range(self._rounds(number)):
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.ended += 1
        said = self._say(prompt, number)
        texts = [said] * sampling.n if isinstance(said, str) else list(said)
        made = sum(min(tokens_of(text), sampling.max_tokens) for text in texts)
        return Completions(
            tuple(Completion(text) for text in texts), Used(1, tokens_of(prompt), 0, made, 10 * made)
        )

    def most(self, messages: Sequence[Message], sampling: Sampling) -> Used:
        made = sampling.n * sampling.max_tokens
        return Used(1, tokens_of(as_text(messages)), 0, made, 10 * made)


def as_text(messages: Sequence[Message]) -> str:
    """A conversation as one text."""
    return "\n".join(f"{message['role']}: {message['content']}" for message in messages)


def tokens_of(text: str) -> int:
    """Words are tokens here."""
    return len(text.split())


def asking(model: Any, budget: Budget | None = None, wall_s: float = 60.0) -> Ask:
    """A request to a model."""
    loop = asyncio.get_running_loop()
    purse = Purse(budget or Budget(), loop.time)
    return Ask(model, purse, Trace(), loop.time() + wall_s, loop.time)


def question(text: str) -> list[Message]:
    """A conversation of one question."""
    return [{"role": "user", "content": text}]


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Runs a coroutine to its end; nothing may be left running behind it."""

    async def whole() -> Any:
        result = await work
        for _ in range(5):
            await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, left
        return result

    return asyncio.run(whole())
