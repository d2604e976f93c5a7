"""What the Resonator is told: which arms there are, and what became of a decision. Only values."""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from zoran_ray.errors import InvalidRequest
from zoran_ray.routing.features import TASKS
from zoran_ray.routing.learner import Outcome, Prior
from zoran_ray.routing.prices import ArmPrice
from zoran_ray.routing.sources import OPERATOR

Vector = NDArray[np.float64]

IMPLICIT = 0.25
"""What a score that was read off the signs counts, where one that somebody gave counts 1."""


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
        known = [v for v in (self.outcome.output_tokens, self.outcome.latency_s) if v is not None]
        quality = self.outcome.quality
        if not 0 <= self.arm < arms or self.task not in TASKS:
            raise InvalidRequest("outcome: no such arm or class of task")
        if self.x.shape != (size,) or not np.isfinite(self.x).all():
            raise InvalidRequest(f"outcome: the prompt's vector must be {size} finite numbers")
        if not all(math.isfinite(n) and n >= 0 for n in (self.usd, self.input_tokens, self.at, *known)):
            raise InvalidRequest("outcome: cost, tokens, latency and time must be finite and not negative")
        if not 0 < self.outcome.weight <= 1:
            raise InvalidRequest("outcome: a weight is above 0 and at most 1")
        if quality is not None and not 0 <= quality <= 1:
            raise InvalidRequest("outcome: a score is within 0..1", param="score")
