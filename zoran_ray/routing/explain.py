"""Why the choice fell: what a snapshot believes of every arm for one request. Only reads snapshots."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zoran_ray.routing.feedback import DRAWS, LATENCY, QUALITY, TOKENS
from zoran_ray.routing.objective import Objective

if TYPE_CHECKING:
    from zoran_ray.routing.snapshot import Judged, Snapshot

Vector = NDArray[np.float64]

_FEATURES = 5
_LEAST_CONTRIBUTION = 1e-4
_NAME_CHARS = 64
_Z90 = 1.645


@dataclass(frozen=True, slots=True)
class ArmView:
    """What is believed of one arm for one request.

    Attributes:
        name: Public name.
        quality: Expected score; it can lie a little outside of 0..1.
        quality_low: The expectation itself is above this with 95 % …
        quality_high: … and below this with 95 %: together 90 %.
        output_tokens: Expected tokens of the answer.
        latency_ms: Median time to the last byte.
        late: Probability of missing the latency objective, None without one.
        usd: Expected cost.
        utility: Quality, weighted, less what cost and lateness take away.
        propensity: Share of the posterior's draws that choose it.
        excluded: Why it cannot be chosen, in words; None if it can.
        features: What of the prompt speaks for it (above 0) or against it, compared to the mean arm, in
            units of quality, the strongest first.
    """

    name: str
    quality: float
    quality_low: float
    quality_high: float
    output_tokens: float
    latency_ms: float
    late: float | None
    usd: float
    utility: float
    propensity: float
    excluded: str | None
    features: tuple[tuple[str, float], ...]


def views(
    snapshot: "Snapshot",
    x: Vector,
    input_tokens: float,
    objective: Objective,
    allowed: Sequence[int] | None,
    current: int | None,
    switch_cost: float,
    names: Sequence[str],
    excluded: Mapping[str, str],
) -> tuple[ArmView, ...]:
    """One view for each arm, in the snapshot's order. See `Snapshot.explain`."""
    judged = snapshot.judge(x, input_tokens=input_tokens, objective=objective, allowed=allowed, must=False)
    estimates = judged.estimates
    doubt = _Z90 * estimates[DRAWS:].std(axis=0)
    tokens = np.exp(np.minimum(estimates[TOKENS] + 0.5 * snapshot.residual_var[TOKENS], 16.0))
    chosen = _propensities(judged, current, switch_cost)
    utility = objective.quality_weight * estimates[QUALITY] + judged.loss
    contributions = _contributions(snapshot, x)
    return tuple(
        ArmView(
            name=name,
            quality=float(estimates[QUALITY, k]),
            quality_low=float(estimates[QUALITY, k] - doubt[k]),
            quality_high=float(estimates[QUALITY, k] + doubt[k]),
            output_tokens=float(tokens[k]),
            latency_ms=1000.0 * math.exp(min(float(estimates[LATENCY, k]), 16.0)),
            late=None if judged.late is None else float(judged.late[k]),
            usd=float(judged.usd[k]),
            utility=float(utility[k]),
            propensity=float(chosen[k]),
            excluded=_exclusion(snapshot, judged, k, objective, allowed, excluded),
            features=_strongest(contributions[k], names),
        )
        for k, name in enumerate(snapshot.arms)
    )


def _propensities(judged: "Judged", current: int | None, switch_cost: float) -> Vector:
    open_arms = judged.mean > -math.inf
    if not open_arms.any():
        return np.zeros(open_arms.size)
    winners = judged.draws.argmax(axis=1)
    if current is not None and open_arms[current]:
        gain = judged.draws[np.arange(winners.size), winners] - judged.draws[:, current]
        winners = np.where(gain > switch_cost, winners, current)
    counts: Vector = np.bincount(winners, minlength=open_arms.size) / winners.size
    return counts


def _contributions(snapshot: "Snapshot", x: Vector) -> NDArray[np.float64]:
    """float64[K, size]: what each entry adds to an arm's quality beyond what it adds to the mean arm's."""
    weights = snapshot.weights.reshape(-1, len(snapshot.arms), snapshot.size)[QUALITY]
    made: NDArray[np.float64] = (weights - weights.mean(axis=0)) * x
    return made


def _strongest(contributions: Vector, names: Sequence[str]) -> tuple[tuple[str, float], ...]:
    order = np.argsort(-np.abs(contributions), kind="stable")[:_FEATURES]
    return tuple(
        (_name(names, int(j)), float(contributions[j]))
        for j in order
        if abs(contributions[j]) >= _LEAST_CONTRIBUTION
    )


def _name(names: Sequence[str], entry: int) -> str:
    name = names[entry] if entry < len(names) else ""
    return name[:_NAME_CHARS] or f"entry {entry}"


def _exclusion(
    snapshot: "Snapshot",
    judged: "Judged",
    arm: int,
    objective: Objective,
    allowed: Sequence[int] | None,
    excluded: Mapping[str, str],
) -> str | None:
    if allowed is not None and arm not in allowed:
        return excluded.get(snapshot.arms[arm], "it may not be used for this request")
    usd = float(judged.usd[arm])
    if usd > objective.max_usd:
        return f"it is expected to cost {usd:.2g} USD, more than max_usd"
    if judged.dear is not None and judged.dear[arm]:
        return f"it is expected to cost {usd:.2g} USD, more than the budget allows now"
    return None
