"""What is taught in what share, and how it is packed into batches. Seeded; no torch here."""

import random
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import count
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

from benchmarks.reasoning.pocket.drills import Taught, drill
from benchmarks.reasoning.pocket.words import encode, encode_prompt
from benchmarks.reasoning.tasks import TASKS
from benchmarks.reasoning.tasks.task import Lesson, drawn
from zoran_ray.pocket.tokens import END, PAD

Share = tuple[str, int]
"""A task and a level."""
SHARES: Mapping[Share, float] = {
    ("countdown", 1): 0.20, ("countdown", 2): 0.10, ("countdown", 3): 0.03,
    ("chain", 1): 0.10, ("chain", 2): 0.07, ("chain", 3): 0.06, ("chain", 4): 0.04,
    ("calculator", 1): 0.04, ("calculator", 2): 0.04, ("calculator", 3): 0.02,
    ("implications", 1): 0.10, ("implications", 2): 0.06, ("implications", 3): 0.03,
    ("retries", 1): 0.05, ("retries", 2): 0.01, ("retries", 3): 0.05,
}  # fmt: skip
"""Parts of the instances that are drawn (together 1). An instance gives one to eight lessons."""

DRILLS_FIRST, DRILLS_LATER = 0.6, 0.15
"""Parts of what is taught that are drills, in the first pools and later."""
FIRST_POOLS = 20
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
    drills = DRILLS_FIRST if index < FIRST_POOLS else DRILLS_LATER
    stream, taught = lessons(rng, shares), list[Taught]()
    room = _POOL * batch_tokens
    while room > 0:
        made = drill(rng) if rng.random() < drills else _taught(next(stream))
        taught.append(made)
        room -= len(made[0])
    taught.sort(key=lambda each: len(each[0]))
    batches = [_rows(part) for part in _cut(taught, batch_tokens)]
    rng.shuffle(batches)
    return batches


def pools(
    seed: int, batch_tokens: int, workers: int, first: int, shares: Mapping[Share, float] = SHARES
) -> Iterator[list[Rows]]:
    """Pools without end, from the `first`. The number of processes that make them changes but the time."""
    if not workers:
        for index in count(first):
            yield pool(seed, index, batch_tokens, shares)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as executor:
        waiting = list[Future[list[Rows]]]()
        for index in count(first):
            waiting.append(executor.submit(pool, seed, index, batch_tokens, shares))
            if len(waiting) == 2 * workers:
                yield waiting.pop(0).result()


def _taught(lesson: Lesson) -> Taught:
    prompt, answer = encode_prompt(lesson.messages), [*encode(lesson.said), END]
    return prompt + answer, [False] * len(prompt) + [True] * len(answer)


def _cut(taught: list[Taught], most: int) -> Iterator[list[Taught]]:
    """Parts of a list sorted by length, none of more than so many tokens after padding."""
    part: list[Taught] = []
    for each in taught:
        if part and (len(part) + 1) * len(each[0]) > most:
            yield part
            part = []
        part.append(each)
    yield part


def _rows(part: list[Taught]) -> Rows:
    columns = max(len(ids) for ids, _ in part)
    tokens = np.full((len(part), columns), PAD, dtype=np.int64)
    asked = np.zeros((len(part), columns), dtype=np.bool_)
    for row, (ids, which) in enumerate(part):
        tokens[row, : len(ids)] = ids
        asked[row, : len(ids)] = which
    places = np.flatnonzero(asked)
    return Rows(tokens, places - 1, tokens.reshape(-1)[places])
