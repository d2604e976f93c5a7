"""What a task is: instances that can be checked exactly, and lessons in the words that strategies send.

A lesson's messages come from the strategies' own prompt builders, or from a strategy that is run with a
teacher for a model: what is taught is what is asked later. Knows no tokens.
"""

import asyncio
import hashlib
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from zoran_ray.reasoning.answers import final_answer
from zoran_ray.reasoning.budget import Budget, Purse
from zoran_ray.reasoning.completion import Completion, Completions, Message, Sampling, Used
from zoran_ray.reasoning.prompting import user
from zoran_ray.reasoning.strategy import Ask, Strategy
from zoran_ray.reasoning.trace import Call, Trace
from zoran_ray.reasoning.verifier import Verifier
from zoran_ray.reasoning.verifiers import verifier_of

Check = Callable[[str], bool]

HELD_OUT_OF_256 = 32
"""Share of the instances that are never taught: one in eight."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One question whose answers can be checked.

    Attributes:
        task: Whose.
        level: How hard, from 1.
        key: Equal for instances that are the same, however they are written; decides on which side of the
            split it is.
        question: In words.
        verifier: As `verifier_of` reads it.
    """

    task: str
    level: int
    key: str
    question: str
    verifier: Mapping[str, Any] = field(repr=False)

    @property
    def messages(self) -> tuple[Message, ...]:
        """As a caller sends it."""
        return (user(self.question),)


@dataclass(frozen=True, slots=True)
class Lesson:
    """One call of a model and what it should have said.

    Attributes:
        kind: Task and part of it, such as `countdown.move`.
        messages: As a strategy sends them.
        said: A right answer; there may be others.
        checks: What can be said of any answer, by name.
    """

    kind: str
    messages: Sequence[Message] = field(repr=False)
    said: str = field(repr=False)
    checks: Mapping[str, Check] = field(repr=False)


class Task(Protocol):
    """A kind of instances."""

    @property
    def name(self) -> str: ...

    @property
    def levels(self) -> int:
        """Levels are 1 to this."""
        ...

    def draw(self, rng: random.Random, level: int) -> Instance:
        """Any instance of a level, of either side of the split."""
        ...

    def lessons(self, instance: Instance, rng: random.Random) -> list[Lesson]:
        """How it is solved: lessons that touch no instance of the other side."""
        ...


def is_held_out(key: str) -> bool:
    """Whether an instance belongs to the exam and must never be taught."""
    return hashlib.blake2b(key.encode(), digest_size=1).digest()[0] < HELD_OUT_OF_256


def drawn(task: Task, rng: random.Random, level: int, *, held_out: bool) -> Instance:
    """An instance of one side of the split."""
    while True:
        instance = task.draw(rng, level)
        if is_held_out(instance.key) is held_out:
            return instance


def held_out_instances(task: Task, level: int, count: int, seed: int) -> list[Instance]:
    """Different instances for a benchmark, at most `count`: an easy level may not have so many."""
    rng = random.Random(f"{task.name} {level} {seed}")
    found: dict[str, Instance] = {}
    # Of 170 puzzles each has come up long before; where there are more, nobody waits for the last.
    for _ in range(10 * count + 500):
        if len(found) == count:
            break
        instance = drawn(task, rng, level, held_out=True)
        found.setdefault(instance.key, instance)
    return list(found.values())


def judged(verifier: Verifier, answer: str) -> bool:
    """What a verifier says of an answer."""
    return asyncio.run(_verdict(verifier, answer))


async def _verdict(verifier: Verifier, answer: str) -> bool:
    return (await verifier(answer)).ok


def right_answer(instance: Instance) -> Check:
    """Whether a chain of thought ends with a right answer."""
    verifier = verifier_of(instance.verifier)
    return lambda said: judged(verifier, final_answer(said)[1])


class _Teacher:
    """Says what it was told to, in order."""

    def __init__(self, said: Sequence[str]) -> None:
        self._said = iter(said)

    async def __call__(
        self, messages: Sequence[Message], sampling: Sampling, *, deadline: float
    ) -> Completions:
        return Completions((Completion(next(self._said)),), Used(calls=1))

    def most(self, messages: Sequence[Message], sampling: Sampling) -> Used:
        return Used(calls=1)


def recorded(
    strategy: Strategy, messages: Sequence[Message], said: Sequence[str], verifier: Verifier | None = None
) -> list[Call]:
    """The calls of a strategy whose model says this, one text a call."""
    trace = Trace()
    ask = Ask(_Teacher(said), Purse(Budget(), time.monotonic), trace, math.inf)
    asyncio.run(strategy.answer(messages, ask, verifier))
    return trace.calls
