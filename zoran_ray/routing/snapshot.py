"""What gateways decide by: an immutable picture of all arms, and the decision itself.

No matrix, no lock, no remote call: a decision is one small product and a few comparisons. Knows nothing of
how the picture was learned.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from zoran_ray.errors import NoArmFits
from zoran_ray.routing.learner import DRAWS, LATENCY, TOKENS

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ArmPrice:
    """USD for one token.

    Attributes:
        input_usd: For each token of the prompt.
        output_usd: For each token of the answer.
        request_usd: For each request.
    """

    input_usd: float = 0.0
    output_usd: float = 0.0
    request_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Objective:
    """What one request wants.

    Attributes:
        max_usd: Most it may be expected to cost, in USD.
        latency_slo_ms: Longer than this is a miss.
        latency_weight: What a certain miss costs, in units of quality.
        quality_weight: Quality counts this much.
        usd_weight: What a dollar costs in units of quality; None: what the budget pacer says.
    """

    max_usd: float = math.inf
    latency_slo_ms: float | None = None
    latency_weight: float = 0.5
    quality_weight: float = 1.0
    usd_weight: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """Which arm, how likely that was, and what was expected of it.

    Attributes:
        arm: Index of the arm.
        propensity: Share of the posterior's draws that choose it.
        usd: Expected cost.
    """

    arm: int
    propensity: float
    usd: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Weights of all arms at one moment.

    Attributes:
        version: Grows with each publication.
        arms: Names, K of them.
        weights: float64[(3 + S)·K, size]: for each head, then each draw, the K arms.
        residual_std: float64[3, K], standard deviation of what the heads leave unexplained.
        prices: What tokens cost at each arm.
        usd_weight: The budget pacer's price of a dollar, in units of quality.
        allowance_usd: Most one request may be expected to cost for the budget to hold.
    """

    version: int
    arms: tuple[str, ...]
    weights: NDArray[np.float64]
    residual_std: NDArray[np.float64]
    prices: tuple[ArmPrice, ...]
    usd_weight: float = 0.0
    allowance_usd: float = math.inf
    input_usd: Vector = field(init=False)
    output_usd: Vector = field(init=False)
    request_usd: Vector = field(init=False)

    def __post_init__(self) -> None:
        for name in ("input_usd", "output_usd", "request_usd"):
            object.__setattr__(self, name, np.array([getattr(p, name) for p in self.prices]))
        # E[e^z] of a normal z is e^(mean + var/2).
        object.__setattr__(self, "output_usd", self.output_usd * np.exp(self.residual_std[TOKENS] ** 2 / 2))

    def estimates(self, x: Vector) -> NDArray[np.float64]:
        """float64[3 + S, K]: log output tokens, log latency, quality, then a score from each draw."""
        made: NDArray[np.float64] = (self.weights @ x).reshape(-1, len(self.arms))
        return made

    def usd(self, estimates: NDArray[np.float64], input_tokens: float) -> Vector:
        """float64[K]: what the request is expected to cost at each arm."""
        tokens = np.exp(np.minimum(estimates[TOKENS], 16.0))
        usd: Vector = self.request_usd + self.input_usd * input_tokens + self.output_usd * tokens
        return usd

    def miss(self, estimates: NDArray[np.float64], slo_ms: float) -> Vector:
        """float64[K]: probability that an answer takes longer than `slo_ms`."""
        z = (estimates[LATENCY] - math.log(slo_ms / 1000.0)) / self.residual_std[LATENCY]
        return np.array([0.5 * (1.0 + math.erf(v / math.sqrt(2.0))) for v in z])

    def choose(
        self,
        x: Vector,
        draw: float,
        *,
        input_tokens: float = 0.0,
        objective: Objective = Objective(),
        allowed: Sequence[int] | None = None,
    ) -> Decision:
        """The arm for one request by Thompson sampling.

        Args:
            x: float64[size], the prompt.
            draw: Uniform in [0, 1): which of the posterior's draws decides.
            input_tokens: Tokens of the prompt.
            allowed: Indices of the arms that may be used; None: all.

        Raises:
            NoArmFits: None is allowed, or none is cheap enough.
        """
        estimates = self.estimates(x)
        usd = self.usd(estimates, input_tokens)
        weight = self.usd_weight if objective.usd_weight is None else objective.usd_weight
        cost = weight * usd
        if objective.latency_slo_ms is not None:
            cost = cost + objective.latency_weight * self.miss(estimates, objective.latency_slo_ms)
        cost = cost + self._barred(usd, objective.max_usd, allowed)
        score = objective.quality_weight * estimates[DRAWS:] - cost
        winners = score.argmax(axis=1)
        arm = int(winners[int(draw * winners.size)])
        return Decision(arm, float(np.count_nonzero(winners == arm)) / winners.size, float(usd[arm]))

    def _barred(self, usd: Vector, max_usd: float, allowed: Sequence[int] | None) -> Vector:
        """float64[K]: infinite where an arm may not be chosen, else 0."""
        out = np.zeros(usd.size)
        if allowed is not None:
            out[:] = np.inf
            out[list(allowed)] = 0.0
        if max_usd < math.inf:
            out[usd > max_usd] = np.inf
        if self.allowance_usd < math.inf:
            # The budget never bars the cheapest: it slows down, it does not refuse.
            dear = usd > self.allowance_usd
            dear[np.argmin(usd + out)] = False
            out[dear] = np.inf
        if np.isinf(out).all():
            raise NoArmFits("No model is allowed, capable and cheap enough for this request.")
        return out
