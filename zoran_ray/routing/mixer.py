"""The EMA mixer: which arms a class of task has gone to lately.

One step is `w <- 0.9 w + 0.1 onehot(choice)`, so a mix always sums to 1. It is what operators watch, what
the guard compares, and where a class that has hardly been seen starts from. Knows indices, not arms.
"""

import numpy as np
from numpy.typing import NDArray

from zoran_ray.errors import ConfigError

Vector = NDArray[np.float64]

KEPT = 0.9
"""Share of the old mix that one choice leaves. Source: the original PolyResonator."""


class Mixer:
    """A mix over `choices` for each class of task.

    Args:
        classes: Names of the classes.
        choices: How many things there are to choose from.
    """

    def __init__(self, classes: tuple[str, ...], choices: int) -> None:
        if choices < 1 or not classes:
            raise ConfigError("a mixer needs at least one class and one choice")
        self.classes = classes
        self._weights = {name: np.full(choices, 1.0 / choices) for name in classes}

    def observe(self, task: str, choice: int) -> None:
        """Count one choice. Raises: KeyError or IndexError for a class or choice that is not there."""
        weights = self._weights[task]
        if not 0 <= choice < weights.size:
            raise IndexError(choice)
        weights *= KEPT
        weights[choice] += 1.0 - KEPT

    def mix(self, task: str) -> Vector:
        """float64[choices], sums to 1. A copy."""
        return self._weights[task].copy()

    def mean(self) -> Vector:
        """The mix over all classes."""
        mean: Vector = np.mean(list(self._weights.values()), axis=0)
        return mean

    def state(self) -> dict[str, list[float]]:
        """What a checkpoint keeps."""
        return {name: weights.tolist() for name, weights in self._weights.items()}

    def restore(self, state: dict[str, list[float]]) -> None:
        """Go on from `state`; classes it does not know keep their mix.

        Raises:
            ConfigError: A mix of another length, or one that is none.
        """
        for name in self._weights.keys() & state.keys():
            given = np.asarray(state[name], dtype=np.float64)
            right = (
                given.shape == self._weights[name].shape and np.isfinite(given).all() and (given >= 0).all()
            )
            if not right or abs(given.sum() - 1.0) > 1e-6:
                raise ConfigError(f"routing checkpoint: the mix of '{name}' does not fit")
            self._weights[name] = given
