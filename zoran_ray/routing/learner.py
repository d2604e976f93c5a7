"""One arm's model: what it will be worth, cost and take, learned one outcome at a time.

A Bayesian linear regression on the prompt's vector with forgetting. Next to the mean there is an ensemble:
every member has seen the same outcomes with noise of its own, so the members are draws from the posterior,
and to choose by one of them is Thompson sampling without a matrix on the hot path. Knows nothing of budgets
or of other arms.

Source: Lu & Van Roy, Ensemble Sampling, 2017 (the ensemble); Parkum, Poulsen & Holst, Recursive forgetting
algorithms, 1992 (why forgetting must stop where nothing is learned: here it never passes the prior).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoran_ray.errors import ConfigError
from zoran_ray.routing.features import CUES

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

HEADS = ("log output tokens", "log latency", "quality")
TOKENS, LATENCY, QUALITY = range(len(HEADS))
_LEAST_NOISE = 0.0025
DRAWS = len(HEADS)
"""Rows of an arm's weights from here on are draws of the quality head."""


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed of an arm before its first outcome. All of it is scale, nothing is data.

    Attributes:
        quality: Expected score, 0..1.
        output_tokens: Expected tokens of an answer.
        latency_s: Expected seconds.
        spread: Standard deviation of the mean score, and what a cue or all words together may change of it.
        noise: Standard deviation of one score around its expectation.
        remembered: Outcomes after which an old one counts 1/e; infinite: nothing is forgotten.
        members: Draws from the posterior that are kept.
    """

    quality: float = 0.6
    output_tokens: float = 300.0
    latency_s: float = 3.0
    spread: tuple[float, float, float] = (0.3, 0.05, 0.05)
    noise: float = 0.25
    remembered: float = 2000.0
    members: int = 16

    def __post_init__(self) -> None:
        positive = (self.output_tokens, self.latency_s, self.noise, self.remembered, *self.spread)
        if not (0 <= self.quality <= 1) or not all(v > 0 for v in positive) or self.members < 1:
            raise ConfigError("routing prior: quality is within 0..1, everything else is above 0")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request at one arm; None where it is not known.

    Attributes:
        quality: Score 0..1.
        output_tokens: Tokens of the answer.
        latency_s: Seconds from request to last byte.
        weight: How much the score counts, above 0: half the weight is twice the variance.
    """

    quality: float | None = None
    output_tokens: float | None = None
    latency_s: float | None = None
    weight: float = 1.0


class ArmLearner:
    """The growing model of one arm.

    Args:
        size: Entries of a prompt's vector.
        prior: Where it starts.
        rng: For the ensemble's noise.
    """

    def __init__(self, size: int, prior: Prior, rng: np.random.Generator) -> None:
        self.prior = prior
        self.outcomes = 0
        self._rng = rng
        self._size = size
        one, cue, words = prior.spread
        scale = np.full(size, words)
        scale[: len(CUES)] = cue
        scale[0] = one
        # In units of the noise, so that the gain needs no other constant. Scores come late or never, tokens
        # and seconds always: each kind is as sure as what it has seen.
        self.covariance: Matrix = np.diag((scale / prior.noise) ** 2)
        self.service_covariance: Matrix = self.covariance.copy()
        self._widest = float(np.trace(self.covariance))
        self._keep = math.exp(-1.0 / prior.remembered)
        self.weights: Matrix = np.zeros((len(HEADS) + prior.members, size))
        self.weights[TOKENS, 0] = math.log(prior.output_tokens)
        self.weights[LATENCY, 0] = math.log(prior.latency_s)
        self.weights[QUALITY:, 0] = prior.quality
        self.weights[DRAWS:] += rng.normal(size=(prior.members, size)) * scale
        # Heads other than quality have noise of another size: measured, not assumed.
        self.residual_var = np.array([0.25, 0.25, prior.noise**2])

    def learn(self, x: Vector, outcome: Outcome) -> Vector:
        """Take one outcome in.

        Args:
            x: float64[size], the prompt.

        Returns:
            float64[3]: how far each head was off, 0 where the outcome does not say.
        """
        off = np.zeros(len(HEADS))
        if outcome.quality is not None:
            residuals = outcome.quality - self.weights[QUALITY:] @ x
            off[QUALITY] = residuals[0]
            # How much an outcome says depends on how noisy this arm's have been, not on what was believed.
            noise = min(max(self.residual_var[QUALITY], _LEAST_NOISE), 1.0) / outcome.weight
            residuals[1:] += math.sqrt(noise) * self._rng.standard_normal(self.prior.members)
            gain = _absorb(self.covariance, x, noise / self.prior.noise**2)
            self.weights[QUALITY:] += residuals[:, None] * gain
            self._forget()
        for head, value in ((TOKENS, outcome.output_tokens), (LATENCY, outcome.latency_s)):
            if value is not None:
                off[head] = math.log(max(value, 1e-9)) - float(self.weights[head] @ x)
        if off[:QUALITY].any():
            self.weights[:QUALITY] += off[:QUALITY, None] * _absorb(self.service_covariance, x)
        self.outcomes += 1
        rate = max(0.02, 1.0 / (self.outcomes + 4.0))
        known = off != 0.0
        self.residual_var[known] += rate * (off[known] ** 2 - self.residual_var[known])
        return off

    def _forget(self) -> None:
        """Widen the posterior a little, but never past the prior."""
        if self._keep < 1.0 and float(self.covariance.trace()) < self._keep * self._widest:
            self.covariance /= self._keep
            mean = self.weights[QUALITY]
            self.weights[DRAWS:] += (self.weights[DRAWS:] - mean) * (self._keep**-0.5 - 1.0)

    def soften(self, share: float = 0.5) -> None:
        """Believe the past less, after this arm has changed: go `share` of the way back to the prior."""
        fresh = ArmLearner(self._size, self.prior, self._rng)
        self.covariance += share * (fresh.covariance - self.covariance)
        mean = self.weights[QUALITY]
        spread, wider = self.weights[DRAWS:] - mean, fresh.weights[DRAWS:] - fresh.weights[QUALITY]
        self.weights[DRAWS:] = mean + math.sqrt(1.0 - share) * spread + math.sqrt(share) * wider

    def state(self) -> dict[str, Any]:
        """Everything a checkpoint needs, as arrays and numbers."""
        return {
            "covariance": self.covariance,
            "service_covariance": self.service_covariance,
            "weights": self.weights,
            "residual_var": self.residual_var,
            "outcomes": np.array(self.outcomes),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`.

        Raises:
            ConfigError: It is of another size, or not finite.
        """
        for name in ("covariance", "service_covariance", "weights", "residual_var"):
            mine, theirs = getattr(self, name), np.asarray(state[name], dtype=np.float64)
            if mine.shape != theirs.shape or not np.isfinite(theirs).all():
                raise ConfigError(f"routing checkpoint: '{name}' does not fit or is not finite")
            setattr(self, name, theirs.copy())
        self.outcomes = int(state["outcomes"])


def _absorb(covariance: Matrix, x: Vector, noise: float = 1.0) -> Vector:
    """Narrow `covariance` by one observation at `x` of this noise; returns the gain, float64[size]."""
    seen = covariance @ x
    gain: Vector = seen / (noise + float(x @ seen))
    covariance -= gain[:, None] * seen
    return gain
