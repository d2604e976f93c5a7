"""One arm's model: what it will be worth, cost and take, learned one outcome at a time.

How much a prompt says about an arm's score differs from one deployment to the next, and is not known
beforehand. So several beliefs are kept side by side: Bayesian linear regressions on the prompt's vector
whose priors let prompts say nothing, a little or a lot. Each counts as much as its forecasts of past scores
deserve. Next to each mean there is an ensemble: every member has seen the same outcomes with noise of its
own, so the members are draws from the posterior, and to choose by one of them is Thompson sampling without
a matrix on the hot path. Knows nothing of budgets or of other arms.

Source: Lu & Van Roy, Ensemble Sampling, 2017 (the ensemble); Hoeting et al., Bayesian Model Averaging, 1999
(beliefs weighed by their forecasts); Parkum, Poulsen & Holst, Recursive forgetting algorithms, 1992 (why
forgetting must stop where nothing is learned: here it never passes the prior).
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoran_ray.errors import ConfigError
from zoran_ray.routing.feedback import DRAWS, HEADS, LATENCY, QUALITY, TOKENS, Outcome, Prior
from zoran_ray.routing.kernel import average, clock, hear

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

_LEAST_NOISE = 0.0025
_REMEMBERED_EVIDENCE = 0.999
_FORGET_EVERY = 16
"""Scores between two steps of forgetting: each passes over whole matrices."""
_UNSETTLED = 300.0
"""Requests in which an arm that has changed may change as much again as is believed of any new arm."""
_SLOW = 100.0
"""Outcomes after which an arm that has become slow counts as slow; requests until it may be quick again."""
_SERVICE_SPREAD = (1.2, 0.2)
"""Prior standard deviation of mean and slopes of tokens and latency, in units of their noise."""
_BLOCK = 64
"""Scores for which noise is drawn at once."""
_KEPT = ("stack", "evidence", "weights", "service_var", "residual_var", "unsettled", "slow", "hoped")


class ArmLearner:
    """The growing model of one arm.

    Attributes:
        weights: float64[3 + members, size]: the heads, then the draws, all beliefs averaged.
        outcomes: How many were taken in.
        residual_var: float64[3], variance of what each head leaves unexplained.

    Args:
        size: Entries of a prompt's vector.
        prior: Where it starts.
        rng: For the ensemble.
    """

    def __init__(self, size: int, prior: Prior, rng: np.random.Generator) -> None:
        self.prior = prior
        self.outcomes = 0
        self._rng = rng
        self._size = size
        self._scores = 1 + prior.members
        scale = np.repeat(np.array(prior.slopes)[:, None], size, axis=1)
        scale[:, 0] = prior.spread
        # Of each belief the mean, the draws, then the covariance: one product with a prompt tells what is
        # expected and how surely, and one outer product takes an outcome in.
        self._stack: NDArray[np.float64] = np.zeros((len(scale), self._scores + size, size))
        self._stack[:, : self._scores, 0] = prior.first_quality
        # All beliefs start from the same draws, scaled: what differs is what they let prompts change.
        self._stack[:, 1 : self._scores] += rng.normal(size=(prior.members, size)) * scale[:, None]
        self._covariance[:] = [np.diag(s**2) for s in scale]
        self._widest = np.trace(self._covariance, axis1=1, axis2=2)
        self._evidence = np.zeros(len(scale))
        self._noise = np.empty((0, self._scores))
        # What the last score did, see `hear`.
        self._heard_one = False
        self._heard = np.zeros(self._stack.shape[:2])
        self._gain = np.zeros(scale.shape)
        self._told = np.zeros(len(scale))
        self._service_var = _service_var(size)
        self._unsettled = np.array(0.0)
        self._slow = np.array(0.0)
        self.weights: Matrix = np.zeros((len(HEADS) + prior.members, size))
        self.weights[TOKENS, 0] = math.log(prior.output_tokens)
        self.weights[LATENCY, 0] = math.log(prior.latency_s)
        self._hoped = self.weights[:QUALITY, 0].copy()
        self._average()
        # Heads other than quality have noise of another size: measured, not assumed.
        self.residual_var = np.array([0.25, 0.25, prior.noise**2])

    @property
    def beliefs(self) -> Vector:
        """float64[slopes], how much each counts."""
        weight = np.exp(self._evidence - self._evidence.max())
        shares: Vector = weight / weight.sum()
        return shares

    def learn(self, x: Vector, outcome: Outcome) -> list[float]:
        """Take one outcome in.

        Args:
            x: float64[size], the prompt.

        Returns:
            How far each of the 3 heads was off, 0 where the outcome does not say.
        """
        off = [0.0] * len(HEADS)
        self._heard_one = False
        if outcome.quality is not None:
            off[QUALITY] = outcome.quality - float(self.weights[QUALITY].dot(x))
            # How much an outcome says depends on how noisy this arm's have been, not on what was believed.
            noise = min(max(float(self.residual_var[QUALITY]), _LEAST_NOISE), 1.0) / outcome.weight
            self._hear(x, outcome.quality, noise)
        if outcome.output_tokens is not None or outcome.latency_s is not None:
            self._clock(x, outcome, off)
        self.outcomes += 1
        rate = max(0.02, 1.0 / (self.outcomes + 4.0))
        for head, error in enumerate(off):
            if error:
                self.residual_var[head] += rate * (error * error - self.residual_var[head])
        return off

    def keep_only(self, share: float) -> None:
        """Take back all but `share` of what the last score changed of the beliefs; `weights` stay."""
        if self._heard_one:
            steps = self._heard[:, : self._scores, None] * self._gain[:, None, :]
            self._stack[:, : self._scores] += (1.0 - share) * steps
            self._evidence -= (1.0 - share) * self._told
            self._heard_one = False

    def soften(self) -> None:
        """Doubt past scores as if there were none, after this arm has changed; what is expected stays.

        It is unsettled for a while: what has changed once may change back, and without being asked it would
        never show.
        """
        fresh = ArmLearner(self._size, self.prior, self._rng)
        self._covariance[:] = fresh._covariance
        self._draws[:] = self._means + fresh._draws - fresh._means
        self._unsettled = np.array(self.prior.spread**2 / _UNSETTLED)
        self._average()

    def soften_service(self) -> None:
        """The same for tokens and latency. While unasked, it is hoped to be as quick as it was."""
        now = self.weights[:QUALITY, 0]
        self._hoped = np.minimum(self._hoped, now) if self._slow else now.copy()
        self._slow = np.array(1.0 / _SLOW)
        self._service_var = np.maximum(self._service_var, 0.5 * _service_var(self._size))

    def rest(self, requests: int) -> bool:
        """Time passes in which an arm that has changed may change back unseen.

        Args:
            requests: How many have gone to any arm.

        Returns:
            Whether it made a difference.
        """
        room = self.prior.spread**2 - float(self._covariance[:, 0, 0].max())
        wider = min(requests * float(self._unsettled), room)
        if wider > 0.0:
            self._covariance[:, 0, 0] += wider
            noise = math.sqrt(wider) * self._rng.standard_normal(self.prior.members)
            self._draws[:, :, 0] += noise
            self.weights[DRAWS:, 0] += noise
        if self._slow:
            share = 1.0 - math.exp(-requests * float(self._slow))
            now = self.weights[:QUALITY, 0]
            now += share * np.minimum(self._hoped - now, 0.0)
            self._service_var[0] += share * max(0.0, _SERVICE_SPREAD[0] ** 2 - self._service_var[0])
        return wider > 0.0 or bool(self._slow)

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
            found[name] = np.array(theirs, order="C")
        for name, value in found.items():
            setattr(self, _attribute(name), value)
        self.outcomes = int(state["outcomes"])
        self._heard_one = False

    # Parts of the stack, as views.

    @property
    def _means(self) -> NDArray[np.float64]:
        return self._stack[:, :1]

    @property
    def _draws(self) -> NDArray[np.float64]:
        return self._stack[:, 1 : self._scores]

    @property
    def _covariance(self) -> NDArray[np.float64]:
        return self._stack[:, self._scores :]

    def _hear(self, x: Vector, quality: float, noise: float) -> None:
        """One score for every belief."""
        if (self.outcomes + 1) % _FORGET_EVERY == 0:
            self._forget()
        if self._unsettled:
            self._unsettled *= math.exp(-1.0 / _UNSETTLED)
        luck = math.sqrt(noise) * self._next_noise()
        hear(
            self._stack,
            self._evidence,
            x,
            quality,
            noise,
            luck,
            _REMEMBERED_EVIDENCE,
            self._heard,
            self._gain,
            self._told,
            self.weights[QUALITY:],
        )
        self._heard_one = True

    def _next_noise(self) -> Vector:
        """float64[1 + members]: none for the mean, a standard normal for each draw."""
        place = self.outcomes % _BLOCK
        if place == 0 or not len(self._noise):
            self._noise = self._rng.standard_normal((_BLOCK, self._scores))
            self._noise[:, 0] = 0.0
        row: Vector = self._noise[place]
        return row

    def _forget(self) -> None:
        """Widen the posteriors a little, but never past the prior."""
        keep = math.exp(-_FORGET_EVERY / self.prior.remembered)
        if keep < 1.0:
            narrow = np.trace(self._covariance, axis1=1, axis2=2) < keep * self._widest
            factor = np.where(narrow, 1.0 / keep, 1.0)[:, None, None]
            self._covariance[:] *= factor
            self._draws[:] += (self._draws - self._means) * (np.sqrt(factor) - 1.0)

    def _average(self) -> None:
        average(self._stack, self._evidence, self.weights[QUALITY:])

    def _clock(self, x: Vector, outcome: Outcome, off: list[float]) -> None:
        if self._slow:
            self._slow *= math.exp(-1.0 / _SLOW)
        tokens, latency_s = outcome.output_tokens, outcome.latency_s
        off[TOKENS], off[LATENCY] = clock(
            self._service_var,
            x,
            math.nan if tokens is None else math.log(max(tokens, 1e-9)),
            math.nan if latency_s is None else math.log(max(latency_s, 1e-9)),
            self.weights[:QUALITY],
        )

    def _array(self, name: str) -> NDArray[np.float64]:
        array: NDArray[np.float64] = getattr(self, _attribute(name))
        return array


def _attribute(name: str) -> str:
    return name if name in ("weights", "residual_var") else f"_{name}"


def _service_var(size: int) -> Vector:
    """float64[size]: doubt of what tokens and latency are, before the first outcome."""
    var = np.full(size, _SERVICE_SPREAD[1] ** 2)
    var[0] = _SERVICE_SPREAD[0] ** 2
    return var
