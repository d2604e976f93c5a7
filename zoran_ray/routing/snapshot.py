"""What gateways decide by: an immutable picture of all arms, and the decision itself.

No matrix, no lock, no remote call: a decision is one small product and a few comparisons. Knows nothing of
how the picture was learned.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoran_ray.errors import NoArmFits
from zoran_ray.routing.explain import ArmView, views
from zoran_ray.routing.feedback import DRAWS, LATENCY, QUALITY, TOKENS
from zoran_ray.routing.objective import Objective
from zoran_ray.routing.prices import PriceList
from zoran_ray.routing.spending import UsdWeights

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

ONLY, BEST, EXPLORE, STAYS = "only arm", "best value", "explore", "stays"
"""Why: no other may be chosen; it is worth most; it may be worth most; another is not worth a switch."""

ROLLED_BACK = "rolled back"
"""What a snapshot says of the guard for a while after a rollback."""

_PLAIN = Objective()


@dataclass(frozen=True, slots=True)
class Decision:
    """Which arm, how likely that was, and what was expected of it.

    Attributes:
        arm: Index of the arm.
        propensity: Share of the posterior's draws that choose it.
        usd: Expected cost.
        reason: Why, in a word: "only arm", "best value", "explore", "stays".
        snapshot_version: Of the snapshot that decided.
    """

    arm: int
    propensity: float
    usd: float
    reason: str = ""
    snapshot_version: int = 0


class Judged(NamedTuple):
    """All arms in view of one request.

    Attributes:
        estimates: float64[3 + S, K], as `Snapshot.estimates`.
        usd: float64[K], expected cost.
        late: float64[K], probability of missing the latency objective; None without one.
        loss: float64[K], what cost and lateness add to utility: at most 0.
        hard: bool[K], arms that may not be used: not allowed or dearer than `max_usd`; None: all may.
        dear: bool[K], arms that the budget bars for now; None: it bars none.
        draws: float64[S, K], utility of each arm by each draw; -inf where barred.
        mean: float64[K], utility expected; -inf where barred.
    """

    estimates: Matrix
    usd: Vector
    late: Vector | None
    loss: Vector
    hard: NDArray[np.bool_] | None
    dear: NDArray[np.bool_] | None
    draws: Matrix
    mean: Vector

    @property
    def only(self) -> bool:
        """Whether no more than one arm may be used."""
        if self.hard is None and self.dear is None:
            return self.mean.size == 1
        return int(np.count_nonzero(self.mean > -math.inf)) <= 1


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Weights of all arms at one moment.

    Attributes:
        version: Grows with each publication.
        arms: Names, K of them.
        weights: float64[(3 + S)·K, size]: for each head, then each draw, the K arms.
        residual_var: float64[3, K], variance of what the heads leave unexplained.
        prices: What tokens cost at each arm.
        usd_weight: The budget pacer's price of a dollar, in units of quality.
        allowance_usd: Most one request may be expected to cost for the budget to hold.
        spread: How much of the draws' distance from the mean counts in a decision.
        epoch: Differs in each life of whoever published it.
        guard: "rolled back" for a while after a rollback, else empty.
        rollbacks: How many there were in this epoch.
        usd_weights: Weights for budgets that requests bring; None: not known.
        tasks: For each class of task the mix over the K arms.
        agents: For each class of task the mix over `mixer.AGENTS`.
        roles: The same for the choice among them, `roles.ROLE_ARMS`; None where that is not known.
    """

    version: int
    arms: tuple[str, ...]
    weights: Matrix
    residual_var: Matrix
    prices: PriceList
    usd_weight: float = 0.0
    allowance_usd: float = math.inf
    spread: float = 1.0
    epoch: str = ""
    guard: str = ""
    rollbacks: int = 0
    usd_weights: UsdWeights | None = None
    tasks: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    agents: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    roles: "Snapshot | None" = None

    @property
    def size(self) -> int:
        """Entries of a prompt's vector."""
        return int(self.weights.shape[1])

    def index(self, name: str) -> int | None:
        """The index of the arm of this name; None if there is none."""
        return self.arms.index(name) if name in self.arms else None

    def estimates(self, x: Vector) -> Matrix:
        """float64[3 + S, K]: log output tokens, log latency, quality, then a score from each draw."""
        made: Matrix = (self.weights @ x).reshape(-1, len(self.arms))
        return made

    def usd(self, estimates: Matrix, input_tokens: float) -> Vector:
        """float64[K]: what the request is expected to cost at each arm."""
        return self.prices.usd(estimates[TOKENS], self.residual_var[TOKENS], input_tokens)

    def miss(self, estimates: Matrix, slo_ms: float) -> Vector:
        """float64[K]: probability that an answer takes longer than `slo_ms`."""
        z = (estimates[LATENCY] - math.log(slo_ms / 1000.0)) / np.sqrt(self.residual_var[LATENCY])
        return np.array([0.5 * (1.0 + math.erf(v / math.sqrt(2.0))) for v in z])

    def choose(
        self,
        x: Vector,
        draw: float,
        *,
        input_tokens: float = 0.0,
        objective: Objective = _PLAIN,
        allowed: Sequence[int] | None = None,
        current: int | None = None,
        switch_cost: float = 0.0,
    ) -> Decision:
        """The arm for one request by Thompson sampling.

        Args:
            x: float64[size], the prompt.
            draw: Uniform in [0, 1): which of the posterior's draws decides.
            input_tokens: Tokens of the prompt.
            objective: What the request wants; its `arms` and `residency` are the caller's to turn into
                `allowed`.
            allowed: Indices of the arms that may be used; None: all.
            current: The arm this conversation is with; it stays while that may be used and no other is
                worth more by `switch_cost`.
            switch_cost: In units of quality.

        Raises:
            NoArmFits: None is allowed, or none is cheap enough.
        """
        judged = self.judge(x, input_tokens=input_tokens, objective=objective, allowed=allowed)
        winners = free = judged.draws.argmax(axis=1)
        if current is not None and judged.mean[current] > -math.inf:
            winners = _loyal(judged.draws, free, current, switch_cost)
        row = int(draw * winners.size)
        arm = int(winners[row])
        propensity = float(np.count_nonzero(winners == arm)) / winners.size
        if judged.only:
            reason = ONLY
        elif arm != free[row]:
            reason = STAYS
        else:
            reason = BEST if arm == judged.mean.argmax() else EXPLORE
        return Decision(arm, propensity, float(judged.usd[arm]), reason, self.version)

    def ranked(
        self,
        x: Vector,
        draw: float,
        *,
        input_tokens: float = 0.0,
        objective: Objective = _PLAIN,
        allowed: Sequence[int] | None = None,
        current: int | None = None,
        switch_cost: float = 0.0,
    ) -> tuple[int, ...]:
        """The arms in the order in which to try them; the first is what `choose` says.

        Arms that only the budget bars come last, the cheapest first: an answer that is too dear is better
        than none, and the budget gets its money back from later requests.

        Raises:
            NoArmFits: As `choose`.
        """
        judged = self.judge(x, input_tokens=input_tokens, objective=objective, allowed=allowed)
        scores = judged.draws[int(draw * len(judged.draws))]
        order = [int(k) for k in np.argsort(-scores, kind="stable") if scores[k] > -math.inf]
        if current in order and scores[order[0]] - scores[current] <= switch_cost:
            order.remove(current)
            order.insert(0, current)
        rest = np.argsort(judged.usd, kind="stable")
        barred = [
            int(k) for k in rest if k not in order and not (judged.hard is not None and judged.hard[k])
        ]
        return (*order, *barred)

    def explain(
        self,
        x: Vector,
        *,
        input_tokens: float = 0.0,
        objective: Objective = _PLAIN,
        allowed: Sequence[int] | None = None,
        current: int | None = None,
        switch_cost: float = 0.0,
        names: Sequence[str] = (),
        excluded: Mapping[str, str] | None = None,
    ) -> tuple[ArmView, ...]:
        """What is believed of every arm for this request, and why it may or may not be chosen.

        Args:
            names: What the entries of `x` stand for, from `Features.names`.
            excluded: By name of the arm, why it is not in `allowed`.
        """
        return views(self, x, input_tokens, objective, allowed, current, switch_cost, names, excluded or {})

    def judge(
        self,
        x: Vector,
        *,
        input_tokens: float = 0.0,
        objective: Objective = _PLAIN,
        allowed: Sequence[int] | None = None,
        must: bool = True,
    ) -> Judged:
        """What each arm is worth for one request.

        Args:
            must: Raise where no arm is left.

        Raises:
            NoArmFits: None is allowed, or none is cheap enough.
        """
        estimates = self.estimates(x)
        usd = self.usd(estimates, input_tokens)
        loss = -self._usd_weight(objective) * usd
        late = None
        if objective.latency_slo_ms is not None:
            late = self.miss(estimates, objective.latency_slo_ms)
            loss = loss - objective.latency_weight * late
        hard, dear = self._barred(usd, objective.max_usd, allowed)
        if must and hard is not None and hard.all():
            raise NoArmFits(
                "No model is allowed, capable and cheap enough for this request.", param="model"
            )
        base = loss
        for barred in (hard, dear):
            if barred is not None:
                base = np.where(barred, -np.inf, base)
        # Draws are taken towards the mean: quality + spread · (draw - quality).
        quality = objective.quality_weight * estimates[QUALITY]
        part = objective.quality_weight * self.spread
        draws = part * estimates[DRAWS:] + (base + (1.0 - self.spread) * quality)
        return Judged(estimates, usd, late, loss, hard, dear, draws, base + quality)

    def _usd_weight(self, objective: Objective) -> float:
        if objective.usd_weight is not None:
            return objective.usd_weight
        if objective.budget_usd_per_1k is None or self.usd_weights is None:
            return self.usd_weight
        # A request may be thriftier than the deployment, not more lavish.
        return max(self.usd_weight, self.usd_weights.at(objective.budget_usd_per_1k / 1000.0))

    def _barred(
        self, usd: Vector, max_usd: float, allowed: Sequence[int] | None
    ) -> tuple[NDArray[np.bool_] | None, NDArray[np.bool_] | None]:
        hard: NDArray[np.bool_] | None = None
        if allowed is not None:
            hard = np.ones(usd.size, dtype=bool)
            hard[list(allowed)] = False
        if max_usd < math.inf:
            hard = usd > max_usd if hard is None else hard | (usd > max_usd)
        if self.allowance_usd == math.inf or not (dear := usd > self.allowance_usd).any():
            return hard, None
        # The budget never bars the cheapest: it slows down, it does not refuse.
        dear[np.argmin(usd if hard is None else np.where(hard, np.inf, usd))] = False
        return hard, dear


def _loyal(draws: Matrix, winners: NDArray[np.intp], current: int, cost: float) -> NDArray[np.intp]:
    """The winners, but `current` where the gain does not exceed the cost."""
    gain = draws[np.arange(len(draws)), winners] - draws[:, current]
    return np.where(gain > cost, winners, current)
