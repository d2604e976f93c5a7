"""The latest prompts: what is typical of them, and what other budgets would make of them. Knows no text."""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoran_ray.routing.learner import DRAWS, QUALITY, TOKENS
from zoran_ray.routing.prices import PriceList
from zoran_ray.routing.spending import UsdWeights, usd_weights

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

_MOST = 256


class Recent:
    """Vectors of the latest prompts, and their tokens.

    Args:
        size: Entries of a vector.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._prompts: deque[tuple[Vector, float]] = deque(maxlen=_MOST)

    def __iter__(self) -> Iterator[tuple[Vector, float]]:
        return iter(tuple(self._prompts))

    def add(self, x: Vector, tokens: float) -> None:
        """One more; the oldest gives way."""
        self._prompts.append((x, tokens))

    def typical(self) -> tuple[Vector, float]:
        """The mean vector and the mean tokens; before the first prompt, the plainest there is."""
        x, tokens = self._arrays()
        return x.mean(axis=0), float(tokens.mean())

    def usd_weights(self, weights: Matrix, log_var: Vector, prices: PriceList, spread: float) -> UsdWeights:
        """What a dollar must be worth for each of many budgets to hold on prompts like these.

        Args:
            weights: float64[3 + S, K, size], as in a snapshot.
            log_var: float64[K], variance of the logarithm of output tokens.
            spread: As in a snapshot.
        """
        x, tokens = self._arrays()
        estimates = (x @ weights.reshape(-1, self._size).T).reshape(len(x), len(weights), -1)
        usd = prices.usd(estimates[:, TOKENS], log_var, tokens[:, None])
        # By the draws in turn, as gateways choose.
        rows = np.arange(len(x))
        drawn = estimates[rows, DRAWS + rows % (len(weights) - DRAWS)]
        believed = estimates[:, QUALITY]
        return usd_weights(believed + spread * (drawn - believed), usd)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {
            "x": np.array([x for x, _ in self._prompts], dtype=np.float64).reshape(-1, self._size),
            "tokens": np.array([tokens for _, tokens in self._prompts], dtype=np.float64),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`; vectors of another size or that are not finite are left out."""
        for x, tokens in zip(state["x"], state["tokens"], strict=True):
            if x.shape == (self._size,) and np.isfinite(x).all() and np.isfinite(tokens) and tokens >= 0:
                self.add(x, float(tokens))

    def _arrays(self) -> tuple[Matrix, Vector]:
        prompts = list(self._prompts) or [(np.eye(1, self._size)[0], 0.0)]
        return np.array([x for x, _ in prompts]), np.array([tokens for _, tokens in prompts])
