"""The latest prompts: what is typical of them, and what was expected of every arm. Knows no text."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoran_ray.routing.feedback import DRAWS, QUALITY, TOKENS
from zoran_ray.routing.prices import PriceList

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

_MOST = 256
_TURNS = np.random.default_rng(0).random(_MOST)
"""Which draw decides on each prompt, in an order that no pattern among them meets."""


class Recent:
    """A ring of vectors of prompts, their tokens, and the estimates of the moment.

    Args:
        size: Entries of a vector.
        weights: float64[3 + S, K, size], as in a snapshot.
    """

    def __init__(self, size: int, weights: Matrix) -> None:
        self._x = np.zeros((_MOST, size))
        self._x[0, 0] = 1.0  # before the first prompt, the plainest there is
        self._tokens = np.zeros(_MOST)
        self._added = 0
        self.revalue(weights)

    def __len__(self) -> int:
        return min(self._added, _MOST)

    def add(self, x: Vector, tokens: float, weights: Matrix) -> None:
        """One more; the oldest gives way."""
        place = self._put(x, tokens)
        np.dot(weights.reshape(-1, x.size), x, out=self._flat[place])

    def _put(self, x: Vector, tokens: float) -> int:
        place = self._added % _MOST
        self._x[place] = x
        self._tokens[place] = tokens
        self._added += 1
        return place

    def revalue(self, weights: Matrix) -> None:
        """Other arms, or another state of them: estimate all prompts anew."""
        self._flat = self._x @ weights.reshape(-1, weights.shape[-1]).T
        self._estimates = self._flat.reshape(_MOST, *weights.shape[:-1])

    def typical(self) -> tuple[Vector, float]:
        """The mean vector of the latest prompts, and their mean tokens."""
        count = max(1, len(self))
        return self._x[:count].mean(axis=0), float(self._tokens[:count].mean())

    def forecasts(self, prices: PriceList, log_var: Vector, spread: float) -> tuple[Matrix, Matrix]:
        """What each prompt would score and cost at each arm: float64[N, K] and float64[N, K].

        Args:
            log_var: float64[K], variance of the logarithm of output tokens.
            spread: As in a snapshot.
        """
        count = max(1, len(self))
        estimates = self._estimates[:count]
        usd = prices.usd(estimates[:, TOKENS], log_var, self._tokens[:count, None])
        # By any draw, as gateways choose.
        draws = DRAWS + (_TURNS[:count] * (estimates.shape[1] - DRAWS)).astype(np.intp)
        drawn = estimates[np.arange(count), draws]
        believed = estimates[:, QUALITY]
        return believed + spread * (drawn - believed), usd

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"x": self._x[: len(self)].copy(), "tokens": self._tokens[: len(self)].copy()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`, then `revalue`; vectors of another size or not finite are left out."""
        for x, tokens in zip(state["x"], state["tokens"], strict=True):
            right = x.shape == self._x.shape[1:] and np.isfinite(x).all()
            if right and np.isfinite(tokens) and tokens >= 0:
                self._put(x, float(tokens))
