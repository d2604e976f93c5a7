"""What the Resonator is told: which arms there are, and what became of a decision. Only values."""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from zoran_ray.errors import ConfigError, InvalidRequest
from zoran_ray.routing.features import TASKS
from zoran_ray.routing.prices import ArmPrice
from zoran_ray.routing.sources import OPERATOR

Vector = NDArray[np.float64]

HEADS = ("log output tokens", "log latency", "quality")
TOKENS, LATENCY, QUALITY = range(len(HEADS))
DRAWS = len(HEADS)
"""Rows of an arm's weights from here on are draws of the quality head."""

IMPLICIT = 0.25
"""What a score that was read off the signs counts, where one that somebody gave counts 1."""


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed of an arm before its first outcome. All of it is scale, nothing is data.

    Attributes:
        quality: Expected score, 0..1; None: as the arms there are, see `learners`.
        output_tokens: Expected tokens of an answer.
        latency_s: Expected seconds.
        spread: Standard deviation of the mean score.
        slopes: For each belief, standard deviation of what an entry of the prompt's vector changes of the
            score; 0: nothing.
        noise: Standard deviation of one score around its expectation.
        remembered: Outcomes after which an old one counts 1/e; infinite: nothing is forgotten.
        members: Draws from the posterior that are kept.
    """

    quality: float | None = None
    output_tokens: float = 300.0
    latency_s: float = 3.0
    spread: float = 0.3
    slopes: tuple[float, ...] = (0.0, 0.03, 0.1, 0.3)
    noise: float = 0.25
    remembered: float = 2000.0
    members: int = 16

    def __post_init__(self) -> None:
        positive = (self.output_tokens, self.latency_s, self.spread, self.noise, self.remembered)
        quality = self.first_quality
        right = 0 <= quality <= 1 and all(v > 0 for v in positive) and self.members >= 1
        if not right or not self.slopes or not all(v >= 0 for v in self.slopes):
            raise ConfigError("routing prior: quality is within 0..1, slopes not below 0, the rest above 0")

    @property
    def first_quality(self) -> float:
        """Expected score where no other arm says anything."""
        return 0.75 if self.quality is None else self.quality


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known of one finished answer; None where nobody knows.

    Attributes:
        quality: Score within 0..1.
        output_tokens: Tokens of the answer.
        latency_s: Seconds from request to last byte.
        weight: What the score counts, above 0 and at most 1; below 1 for weaker evidence.
    """

    quality: float | None = None
    output_tokens: float | None = None
    latency_s: float | None = None
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Arm:
    """One model that can be chosen.

    Attributes:
        name: Public name.
        price: What its tokens cost.
        prior: What is believed of it before its first answer.
    """

    name: str
    price: ArmPrice = field(default_factory=ArmPrice)
    prior: Prior = field(default_factory=Prior)


@dataclass(frozen=True, slots=True)
class Feedback:
    """What became of one decision.

    Attributes:
        x: float64[size], the prompt as it was decided on.
        arm: Index of the arm that answered.
        outcome: What is known of the answer.
        usd: What it cost.
        input_tokens: Tokens of the prompt.
        task: One of `TASKS`.
        failed: It ended with an error, or later than it should have.
        source: Whose request it was; "" is believed without bound, see `sources`.
        at: Unix time in seconds.
    """

    x: Vector
    arm: int
    outcome: Outcome
    usd: float = 0.0
    input_tokens: float = 0.0
    task: str = "other"
    failed: bool = False
    source: str = OPERATOR
    at: float = 0.0

    def check(self, size: int, arms: int) -> None:
        """Raises: InvalidRequest: Something is not finite, out of range or of another size."""
        outcome, quality = self.outcome, self.outcome.quality
        tokens, latency_s = outcome.output_tokens or 0.0, outcome.latency_s or 0.0
        known = (self.usd, self.input_tokens, self.at, tokens, latency_s)
        if not 0 <= self.arm < arms or self.task not in TASKS:
            raise InvalidRequest("outcome: no such arm or class of task")
        # A sum of squares is finite exactly where every entry is, short of numbers no prompt has.
        if self.x.shape != (size,) or not math.isfinite(self.x.dot(self.x)):
            raise InvalidRequest(f"outcome: the prompt's vector must be {size} finite numbers")
        if not all(0.0 <= number < math.inf for number in known):
            raise InvalidRequest("outcome: cost, tokens, latency and time must be finite and not negative")
        if not 0 < outcome.weight <= 1:
            raise InvalidRequest("outcome: a weight is above 0 and at most 1")
        if quality is not None and not 0 <= quality <= 1:
            raise InvalidRequest("outcome: a score is within 0..1", param="score")
