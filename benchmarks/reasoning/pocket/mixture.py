"""What is taught in what share, and how it is packed into batches. Seeded; no torch here."""

import random
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

from benchmarks.reasoning.pocket.words import encode, encode_prompt
from benchmarks.reasoning.tasks import TASKS
from benchmarks.reasoning.tasks.task import Lesson, drawn
from zoran_ray.pocket.tokens import END, PAD

Share = tuple[str, int]
"""A task and a level."""
Taught = tuple[list[int], list[int]]
"""Ids of a prompt and of what was to be said."""

SHARES: Mapping[Share, float] = {
    ("countdown", 1): 0.16, ("countdown", 2): 0.14, ("countdown", 3): 0.06,
    ("chain", 1): 0.08, ("chain", 2): 0.08, ("chain", 3): 0.08, ("chain", 4): 0.06,
    ("calculator", 1): 0.03, ("calculator", 2): 0.03, ("calculator", 3): 0.02,
    ("implications", 1): 0.06, ("implications", 2): 0.06, ("implications", 3): 0.04,
    ("retries", 1): 0.07, ("retries", 2): 0.03,
}  # fmt: skip
"""Parts of the instances that are drawn (together 1). An instance gives one to eight lessons."""

_POOL = 16
"""Batches that are packed together: lessons of like length meet, and little is padding."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Lessons side by side, as arrays: what a batch is before it is on a device."""

    tokens: NDArray[np.int64]
    """`int64[lessons, longest]`."""
    where: NDArray[np.int64]
    """`int64[answers]`: flat positions whose next token belongs to an answer."""
    targets: NDArray[np.int64]
    """`int64[answers]`: those next tokens."""


def lessons(rng: random.Random, shares: Mapping[Share, float] = SHARES) -> Iterator[Lesson]:
    """Lessons without end, of instances that are not held out."""
    names, weights = list(shares), list(shares.values())
    while True:
        ((name, level),) = rng.choices(names, weights)
        task = TASKS[name]
        yield from task.lessons(drawn(task, rng, level, held_out=False), rng)


def pool(seed: int, index: int, batch_tokens: int, shares: Mapping[Share, float] = SHARES) -> list[Rows]:
    """The batches of one pool: the same for the same arguments, in whichever process.

    Args:
        batch_tokens: Most tokens of a batch, padding counted.
    """
    rng = random.Random(f"pool {seed} {index}")
    taught: list[Taught] = []
    room = _POOL * batch_tokens
    for lesson in lessons(rng, shares):
        prompt, answer = encode_prompt(lesson.messages), [*encode(lesson.said), END]
        taught.append((prompt, answer))
        room -= len(prompt) + len(answer)
        if room < 0:
            break
    taught.sort(key=lambda pair: len(pair[0]) + len(pair[1]))
    batches = [_rows(part) for part in _cut(taught, batch_tokens)]
    rng.shuffle(batches)
    return batches


def pools(
    seed: int, batch_tokens: int, workers: int = 0, shares: Mapping[Share, float] = SHARES
) -> Iterator[Rows]:
    """Batches without end. The number of processes that make them changes nothing but the time."""
    if not workers:
        index = 0
        while True:
            yield from pool(seed, index, batch_tokens, shares)
            index += 1
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as executor:
        index, waiting = 0, list[Future[list[Rows]]]()
        while True:
            while len(waiting) < 2 * workers:
                waiting.append(executor.submit(pool, seed, index, batch_tokens, shares))
                index += 1
            yield from waiting.pop(0).result()


def _cut(taught: list[Taught], most: int) -> Iterator[list[Taught]]:
    """Parts of a list sorted by length, none of more than so many tokens after padding."""
    part: list[Taught] = []
    for prompt, answer in taught:
        if part and (len(part) + 1) * (len(prompt) + len(answer)) > most:
            yield part
            part = []
        part.append((prompt, answer))
    yield part


def _rows(part: list[Taught]) -> Rows:
    columns = max(len(prompt) + len(answer) for prompt, answer in part)
    tokens = np.full((len(part), columns), PAD, dtype=np.int64)
    where: list[int] = []
    targets: list[int] = []
    for row, (prompt, answer) in enumerate(part):
        tokens[row, : len(prompt) + len(answer)] = prompt + answer
        first = row * columns + len(prompt) - 1
        where.extend(range(first, first + len(answer)))
        targets.extend(answer)
    return Rows(tokens, np.array(where), np.array(targets))
