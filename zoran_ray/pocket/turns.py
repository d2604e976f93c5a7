"""One question and its answer, as the pocket model is taught: mostly sums, sometimes other talk."""

from __future__ import annotations

import random
from dataclasses import dataclass

from zoran_ray.pocket.other import OTHER_ANSWER, arithmetic_beyond, other_text
from zoran_ray.pocket.problems import PHRASINGS, phrase, sample_problem


@dataclass(frozen=True, slots=True)
class Turn:
    """One question of a conversation and the answer the model should give."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Mixture:
    """What the questions are about, as parts of the whole (0..1)."""

    bare_share: float
    """Problems asked as bare `a+b`; the others take any phrasing."""
    other_share: float
    """Turns that are other text of any kind."""
    beyond_share: float = 0.0
    """Further turns that are arithmetic it does not know, the text most like a sum."""
    two_digit_share: float = 0.0
    """Problems with two two-digit numbers, beyond those that come anyway."""


def sample_turn(rng: random.Random, mixture: Mixture) -> Turn:
    """One question and answer to teach."""
    if rng.random() < mixture.other_share:
        return Turn(other_text(rng), OTHER_ANSWER)
    if mixture.beyond_share and rng.random() < mixture.beyond_share:
        return Turn(arithmetic_beyond(rng), OTHER_ANSWER)
    problem = sample_problem(rng, mixture.two_digit_share)
    phrasings = PHRASINGS[problem.operator]
    phrasing = phrasings[0] if rng.random() < mixture.bare_share else rng.choice(phrasings)
    return Turn(phrase(problem, phrasing, lower=rng.random() < 0.3), problem.answer)
