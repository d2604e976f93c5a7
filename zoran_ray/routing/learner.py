"""One arm's model: what it will be worth, cost and take, learned one outcome at a time.

How much a prompt says about an arm's score differs from one deployment to the next, and is not known
beforehand. So several beliefs are kept side by side: that prompts say nothing (the score is one mean), and
Bayesian linear regressions on the prompt's vector whose priors let prompts say a little or a lot. Each
counts as much as its forecasts of past scores deserve. Next to each mean there is an ensemble: every member
has seen the same outcomes with noise of its own, so the members are draws from the posterior, and to choose
by one of them is Thompson sampling without a matrix on the hot path. Knows nothing of budgets or of other
arms.

Source: Lu & Van Roy, Ensemble Sampling, 2017 (the ensemble); Hoeting et al., Bayesian Model Averaging, 1999
(beliefs weighed by their forecasts); Parkum, Poulsen & Holst, Recursive forgetting algorithms, 1992 (why
forgetting must stop where nothing is learned: here it never passes the prior).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoran_ray.errors import ConfigError

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

HEADS = ("log output tokens", "log latency", "quality")
TOKENS, LATENCY, QUALITY = range(len(HEADS))
DRAWS = len(HEADS)
"""Rows of an arm's weights from here on are draws of the quality head."""

_LEAST_NOISE = 0.0025
_REMEMBERED_EVIDENCE = 0.999
_FORGET_EVERY = 16
"""Scores between two steps of forgetting: each passes over whole matrices."""
_UNSETTLED = 300.0
"""Requests in which an arm that has changed may change as much again as is believed of any new arm."""
_SERVICE_SPREAD = (1.2, 0.2)
"""Prior standard deviation of mean and slopes of tokens and latency, in units of their noise."""
_KEPT = (
    "beliefs",
    "constant_var",
    "covariance",
    "evidence",
    "weights",
    "service_var",
    "residual_var",
    "unsettled",
)


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed of an arm before its first outcome. All of it is scale, nothing is data.

    Attributes:
        quality: Expected score, 0..1; None: as the arms there are, see `learners`.
        output_tokens: Expected tokens of an answer.
        latency_s: Expected seconds.
        spread: Standard deviation of the mean score.
        slopes: For each belief but the constant one, standard deviation of what an entry of the prompt's
            vector changes of the score.
        noise: Standard deviation of one score around its expectation.
        remembered: Outcomes after which an old one counts 1/e; infinite: nothing is forgotten.
        members: Draws from the posterior that are kept.
    """

    quality: float | None = None
    output_tokens: float = 300.0
    latency_s: float = 3.0
    spread: float = 0.3
    slopes: tuple[float, ...] = (0.05, 0.2)
    noise: float = 0.25
    remembered: float = 2000.0
    members: int = 16

    def __post_init__(self) -> None:
        positive = (self.output_tokens, self.latency_s, self.spread, self.noise, self.remembered)
        quality = self.first_quality
        if not (0 <= quality <= 1) or not all(v > 0 for v in (*positive, *self.slopes)) or self.members < 1:
            raise ConfigError("routing prior: quality is within 0..1, everything else is above 0")

    @property
    def first_quality(self) -> float:
        """Expected score where no other arm says anything."""
        return 0.6 if self.quality is None else self.quality


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

    Attributes:
        weights: float64[3 + members, size]: the heads, then the draws, all beliefs averaged.
        outcomes: How many were taken in.
        residual_var: float64[3], variance of what each head leaves unexplained.

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
        count = 1 + len(prior.slopes)
        scale = np.zeros((count, size))
        scale[1:] = np.array(prior.slopes)[:, None]
        scale[:, 0] = prior.spread
        self._constant_var = np.array(prior.spread**2)
        self._covariance: NDArray[np.float64] = np.array([np.diag(s**2) for s in scale[1:]])
        self._covariance = self._covariance.reshape(-1, size, size)
        self._widest = np.trace(self._covariance, axis1=1, axis2=2)
        self._scratch: Matrix = np.empty((size, size))
        # All beliefs start from the same draws, scaled: what differs is what they let prompts change.
        self._beliefs: NDArray[np.float64] = np.zeros((count, 1 + prior.members, size))
        self._beliefs[:, :, 0] = prior.first_quality
        self._beliefs[:, 1:] += rng.normal(size=(prior.members, size)) * scale[:, None]
        self._evidence = np.zeros(count)
        self._step: tuple[Matrix, Matrix, Vector] | None = None
        self._service_var = np.full(size, _SERVICE_SPREAD[1] ** 2)
        self._service_var[0] = _SERVICE_SPREAD[0] ** 2
        self._unsettled = np.array(0.0)
        self.weights: Matrix = np.zeros((len(HEADS) + prior.members, size))
        self.weights[TOKENS, 0] = math.log(prior.output_tokens)
        self.weights[LATENCY, 0] = math.log(prior.latency_s)
        self._average()
        # Heads other than quality have noise of another size: measured, not assumed.
        self.residual_var = np.array([0.25, 0.25, prior.noise**2])

    @property
    def beliefs(self) -> Vector:
        """float64[1 + slopes], how much each counts: the constant one first."""
        weight = np.exp(self._evidence - self._evidence.max())
        shares: Vector = weight / weight.sum()
        return shares

    def learn(self, x: Vector, outcome: Outcome) -> Vector:
        """Take one outcome in.

        Args:
            x: float64[size], the prompt.

        Returns:
            float64[3]: how far each head was off, 0 where the outcome does not say.
        """
        off = np.zeros(len(HEADS))
        self._step = None
        if outcome.quality is not None:
            off[QUALITY] = outcome.quality - float(self.weights[QUALITY] @ x)
            # How much an outcome says depends on how noisy this arm's have been, not on what was believed.
            noise = min(max(float(self.residual_var[QUALITY]), _LEAST_NOISE), 1.0) / outcome.weight
            self._hear(x, outcome.quality, noise)
        self._clock(x, outcome, off)
        self.outcomes += 1
        rate = max(0.02, 1.0 / (self.outcomes + 4.0))
        known = off != 0.0
        self.residual_var[known] += rate * (off[known] ** 2 - self.residual_var[known])
        return off

    def keep_only(self, share: float) -> None:
        """Take back all but `share` of what the last score changed of the beliefs; `weights` stay."""
        if self._step is not None:
            residuals, gain, evidence = self._step
            self._beliefs -= (1.0 - share) * residuals[:, :, None] * gain[:, None, :]
            self._evidence -= (1.0 - share) * evidence
            self._step = None

    def soften(self, share: float = 0.5) -> None:
        """Believe past scores less, after this arm has changed: go `share` of the way back to the prior.

        It stays unsettled for a while: what has changed once may change back, and without being asked it
        would never show.
        """
        fresh = ArmLearner(self._size, self.prior, self._rng)
        self._constant_var += share * (fresh._constant_var - self._constant_var)
        self._covariance += share * (fresh._covariance - self._covariance)
        mean, fresh_mean = self._beliefs[:, :1], fresh._beliefs[:, :1]
        near, wide = self._beliefs[:, 1:] - mean, fresh._beliefs[:, 1:] - fresh_mean
        self._beliefs[:, 1:] = mean + math.sqrt(1.0 - share) * near + math.sqrt(share) * wide
        self._unsettled = np.array(self.prior.spread**2 / _UNSETTLED)
        self._average()

    def soften_service(self) -> None:
        """The same for tokens and latency."""
        fresh = np.full(self._size, _SERVICE_SPREAD[1] ** 2)
        fresh[0] = _SERVICE_SPREAD[0] ** 2
        self._service_var = np.maximum(self._service_var, 0.5 * fresh)

    def rest(self, requests: int) -> bool:
        """Time passes in which an unsettled arm may have changed unseen.

        Args:
            requests: How many have gone to any arm.

        Returns:
            Whether it made a difference.
        """
        room = self.prior.spread**2 - float(self._constant_var)
        wider = min(requests * float(self._unsettled), room)
        if wider <= 0.0:
            return False
        self._constant_var += wider
        self._covariance[:, 0, 0] += wider
        noise = math.sqrt(wider) * self._rng.standard_normal(self.prior.members)
        self._beliefs[:, 1:, 0] += noise
        self.weights[DRAWS:, 0] += noise
        return True

    def state(self) -> dict[str, Any]:
        """Everything a checkpoint needs, as arrays and numbers."""
        return {name: self._array(name).copy() for name in _KEPT} | {"outcomes": np.array(self.outcomes)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`.

        Raises:
            ConfigError: It is of another size, or not finite; nothing has changed.
        """
        found: dict[str, NDArray[np.float64]] = {}
        for name in _KEPT:
            if name not in state:
                raise ConfigError(f"routing checkpoint: '{name}' is missing, it is of another version")
            theirs = np.asarray(state[name], dtype=np.float64)
            if self._array(name).shape != theirs.shape or not np.isfinite(theirs).all():
                raise ConfigError(f"routing checkpoint: '{name}' does not fit or is not finite")
            found[name] = theirs.copy()
        for name, value in found.items():
            setattr(self, _attribute(name), value)
        self.outcomes = int(state["outcomes"])
        self._step = None

    def _hear(self, x: Vector, quality: float, noise: float) -> None:
        """One score for every belief: each narrows, and counts for as much as it was right."""
        seen = np.zeros((len(self._evidence), self._size))
        seen[0, 0] = float(self._constant_var) * x[0]
        seen[1:] = (self._covariance.reshape(-1, self._size) @ x).reshape(-1, self._size)
        sure = noise + seen @ x
        residuals: Matrix = quality - self._beliefs @ x
        told = -0.5 * (residuals[:, 0] ** 2 / sure + np.log(sure))
        told += (_REMEMBERED_EVIDENCE - 1.0) * self._evidence - told.max()
        self._evidence += told
        residuals[:, 1:] += math.sqrt(noise) * self._rng.standard_normal(self.prior.members)
        gain = seen / sure[:, None]
        self._beliefs += residuals[:, :, None] * gain[:, None, :]
        self._constant_var -= gain[0, 0] * seen[0, 0]
        for covariance, up, down in zip(self._covariance, gain[1:], seen[1:], strict=True):
            np.dot(up[:, None], down[None, :], out=self._scratch)
            covariance -= self._scratch
        self._step = residuals, gain, told
        self._unsettled *= math.exp(-1.0 / _UNSETTLED)
        if (self.outcomes + 1) % _FORGET_EVERY == 0:
            self._forget()
        self._average()

    def _forget(self) -> None:
        """Widen the posteriors a little, but never past the prior."""
        keep = math.exp(-_FORGET_EVERY / self.prior.remembered)
        if keep < 1.0:
            var = np.trace(self._covariance, axis1=1, axis2=2)
            wider = np.append(self._constant_var < keep * self.prior.spread**2, var < keep * self._widest)
            factor = np.where(wider, 1.0 / keep, 1.0)
            self._constant_var *= factor[0]
            self._covariance *= factor[1:, None, None]
            mean = self._beliefs[:, :1]
            self._beliefs[:, 1:] += (self._beliefs[:, 1:] - mean) * (np.sqrt(factor) - 1.0)[:, None, None]

    def _average(self) -> None:
        self.weights[QUALITY:] = np.tensordot(self.beliefs, self._beliefs, 1)

    def _clock(self, x: Vector, outcome: Outcome, off: Vector) -> None:
        """Tokens and seconds: as sure of each entry as what it has seen, entries apart from each other."""
        for head, value in ((TOKENS, outcome.output_tokens), (LATENCY, outcome.latency_s)):
            if value is not None:
                off[head] = math.log(max(value, 1e-9)) - float(self.weights[head] @ x)
        if off[:QUALITY].any():
            seen = self._service_var * x
            gain = seen / (1.0 + float(x @ seen))
            self._service_var -= gain * seen
            self.weights[:QUALITY] += off[:QUALITY, None] * gain

    def _array(self, name: str) -> NDArray[np.float64]:
        array: NDArray[np.float64] = getattr(self, _attribute(name))
        return array


def _attribute(name: str) -> str:
    return name if name in ("weights", "residual_var") else f"_{name}"
