"""The peer: `paretobandit` from PyPI, in this process, on the same vectors and the same price list.

Set up as its own experiments set it up, with nothing learned beforehand, as for us: disjoint LinUCB with
its default exploration and forgetting, and its adaptive budget pacer.

Source: the package's README and its published experiments (arXiv 2604.00136).
"""

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_NOMINAL_TOKENS = 400.0


def paretobandit(size: int, names: tuple[str, ...], prices: Array, budget: float) -> "ParetoBandit | None":
    """The peer, or None where it is not installed."""
    try:
        import pareto_bandit  # noqa: F401
    except ImportError:
        return None
    return ParetoBandit(size, names, prices, budget)


class ParetoBandit:
    """`BanditRouter` behind this benchmark's protocol."""

    def __init__(self, size: int, names: tuple[str, ...], prices: Array, budget: float) -> None:
        from pareto_bandit.budget_pacer import BudgetPacer, PacingMode
        from pareto_bandit.feature_service import FeatureService
        from pareto_bandit.router import BanditRouter
        from pareto_bandit.storage import EphemeralContextStore

        logging.getLogger("pareto_bandit").setLevel(logging.ERROR)
        per_million = prices / _NOMINAL_TOKENS * 1e6
        registry = {
            name: {
                "model_id": name,
                "display_name": name,
                "input_cost_per_m": float(price),
                "output_cost_per_m": float(price),
            }
            for name, price in zip(names, per_million, strict=True)
        }
        pacer = None
        if np.isfinite(budget):
            pacer = BudgetPacer(target_avg_spend_usd=budget, mode=PacingMode.ADAPTIVE)
        self._names = {name: k for k, name in enumerate(names)}
        self._router: Any = BanditRouter.create(
            model_registry=registry,
            feature_service=FeatureService.for_precomputed(size),
            context_store=EphemeralContextStore(),
            priors="none",
            budget_pacer=pacer,
        )
        self._log: Any = None

    def choose(self, x: Array) -> int:
        """Its contexts end with the constant that ours begin with."""
        model, self._log = self._router.route(np.roll(x, -1))
        return self._names[model]

    def learn(self, x: Array, arm: int, reward: float, usd: float) -> None:
        self._log.cost_usd = usd
        self._router.process_feedback(self._log.request_id, reward=reward)
