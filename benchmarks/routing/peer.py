"""The peer: `paretobandit` from PyPI, in this process, on the same vectors and the same price list.

Set up as its authors set up the variant that, like us, has learned nothing beforehand ("tabula rasa":
disjoint LinUCB, alpha 0.05, forgetting 0.997) with their budget pacer in its adaptive mode at its default
rates, and no static cost penalty beside it. Their headline variant starts from weights learned on 8,374
prompts of the same data set and is out of reach on any other data.

Source: the package's `config` and its published experiments (arXiv 2604.00136).
"""

import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FOLDER = Path(__file__).parents[1] / ".peers" / "paretobandit"
"""Where `peers.sh` puts it."""

ALPHA, FORGETTING = 0.05, 0.997
_NOMINAL_TOKENS = 400.0
"""It wants prices of tokens, the record has prices of requests: any constant will do, and does the same."""


def paretobandit(
    size: int, names: tuple[str, ...], prices: Array, budget: float, seed: int = 0
) -> "ParetoBandit | None":
    """The peer, or None where it is not installed."""
    if FOLDER.is_dir() and str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
    try:
        import pareto_bandit  # noqa: F401
    except ImportError:
        return None
    return ParetoBandit(size, names, prices, budget, seed)


class ParetoBandit:
    """`BanditRouter` behind this benchmark's protocol."""

    def __init__(self, size: int, names: tuple[str, ...], prices: Array, budget: float, seed: int) -> None:
        from pareto_bandit.budget_pacer import BudgetPacer, PacingMode
        from pareto_bandit.feature_service import FeatureService
        from pareto_bandit.router import BanditRouter
        from pareto_bandit.storage import EphemeralContextStore

        logging.getLogger("pareto_bandit").setLevel(logging.ERROR)
        pacer = None
        if np.isfinite(budget):
            pacer = BudgetPacer(target_avg_spend_usd=budget, mode=PacingMode.ADAPTIVE)
        self._names = list(names)
        registry = {
            name: {"model_id": name, "display_name": name, **_token_prices(price)}
            for name, price in zip(names, prices, strict=True)
        }
        self._router: Any = BanditRouter.create(
            model_registry=registry,
            feature_service=FeatureService.for_precomputed(size),
            context_store=EphemeralContextStore(),
            priors="none",
            prior_n_effective=1.0,
            alpha=ALPHA,
            forgetting_factor=FORGETTING,
            cost_penalty=0.0,
            bandit_seed=seed,
            budget_pacer=pacer,
        )
        self._log: Any = None

    def choose(self, x: Array) -> int:
        """Its contexts end with the constant that ours begin with."""
        model, self._log = self._router.route(np.roll(x, -1))
        return self._names.index(model)

    def learn(self, x: Array, arm: int, reward: float, usd: float) -> None:
        self._log.cost_usd = usd
        self._router.process_feedback(self._log.request_id, reward=reward)

    def set_prices(self, names: tuple[str, ...], prices: Array) -> None:
        for name, price in zip(names, prices, strict=True):
            if name in self._names:
                self._router.update_model_pricing(name, **_token_prices(price))
            else:
                self._router.register_model(name, **_token_prices(price))
        self._names = list(names)


def _token_prices(usd: float) -> dict[str, float]:
    per_million = float(usd) / _NOMINAL_TOKENS * 1e6
    return {"input_cost_per_m": per_million, "output_cost_per_m": per_million}
