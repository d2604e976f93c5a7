"""Batches of packed conversations: several question-answer turns in one row, as a chat history looks."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from zoran_ray.pocket.tokens import PAD, encode_turn
from zoran_ray.pocket.turns import Mixture, sample_turn


@dataclass(frozen=True, slots=True)
class Lesson:
    """A stage of a course."""

    until: float
    """The stage ends when this part of the course's steps is done (0..1)."""
    rows: int
    """Conversations in a batch."""
    columns: int
    """Tokens in a conversation."""
    mixture: Mixture
    """What is asked."""


@dataclass(frozen=True, slots=True)
class Course:
    """Lessons under one rise and fall of the learning rates."""

    steps: int
    muon_rate: float
    adam_rate: float
    lessons: tuple[Lesson, ...]


_BARE = Mixture(bare_share=1.0, other_share=0.0)
_PHRASED = Mixture(bare_share=0.1, other_share=0.04, beyond_share=0.05, two_digit_share=0.2)

COURSES = (
    Course(
        steps=6000,
        muon_rate=0.02,
        adam_rate=0.004,
        lessons=(
            Lesson(until=0.30, rows=32, columns=64, mixture=_BARE),
            Lesson(until=0.60, rows=64, columns=64, mixture=_BARE),
            Lesson(until=0.92, rows=32, columns=128, mixture=Mixture(bare_share=0.5, other_share=0.03)),
            Lesson(until=1.00, rows=16, columns=256, mixture=Mixture(bare_share=0.2, other_share=0.06)),
        ),
    ),
    Course(
        steps=3500,
        muon_rate=0.012,
        adam_rate=0.002,
        lessons=(
            Lesson(until=0.85, rows=32, columns=128, mixture=_PHRASED),
            Lesson(until=1.00, rows=16, columns=256, mixture=_PHRASED),
        ),
    ),
)
"""First the sums themselves, then every way to ask for them and what is none."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's rows."""

    tokens: Tensor
    """int64[rows, columns]."""
    where: Tensor
    """int64[answers]: flat positions whose next token belongs to an answer."""
    targets: Tensor
    """int64[answers]: those next tokens."""
    turns: int
    """Questions in the batch."""


def make_batch(rng: random.Random, lesson: Lesson) -> Batch:
    """Fill every row with whole turns until the next one does not fit; the loss is on the answers only."""
    rows = np.full((lesson.rows, lesson.columns), PAD, dtype=np.int64)
    where: list[int] = []
    targets: list[int] = []
    turns = 0
    for row in range(lesson.rows):
        used = 0
        while True:
            turn = sample_turn(rng, lesson.mixture)
            prompt, answer = encode_turn(turn.question, turn.answer)
            end = used + len(prompt) + len(answer)
            if end > lesson.columns:
                break
            rows[row, used:end] = prompt + answer
            first = row * lesson.columns + used + len(prompt) - 1
            where.extend(range(first, first + len(answer)))
            targets.extend(answer)
            used = end
            turns += 1
    return Batch(torch.from_numpy(rows), torch.tensor(where), torch.tensor(targets), turns)
