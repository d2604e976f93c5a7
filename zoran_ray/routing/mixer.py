"""The EMA mixer: which arms, or agents, a class of task has gone to lately.

One step is `w <- 0.9 w + 0.1 onehot(choice)`, so a mix always sums to 1. It is what operators watch, what
the guard compares, and where a class that has not been seen yet starts from. Knows indices, not arms.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zoran_ray.errors import ConfigError

Vector = NDArray[np.float64]

KEPT = 0.9
"""Share of the old mix that one choice leaves. Source: the original PolyResonator."""

AGENTS = ("reasoner", "coder", "retriever", "vision")
"""Agents, in the order of their mix. Source: the original PolyResonator."""


class Mixer:
    """A mix over `choices` for each class of task.

    A cold class, one that has had no choice yet, has the mean of the others' mixes; while all are cold,
    every choice counts the same.

    Args:
        classes: Names of the classes.
        choices: How many things there are to choose from.
    """

    def __init__(self, classes: tuple[str, ...], choices: int) -> None:
        if choices < 1 or not classes:
            raise ConfigError("a mixer needs at least one class and one choice")
        self.classes = classes
        self.choices = choices
        self._warm: dict[str, Vector] = {}

    def observe(self, task: str, choice: int) -> None:
        """Count one choice. Raises: KeyError or IndexError for a class or choice that is not there."""
        if task not in self.classes:
            raise KeyError(task)
        if not 0 <= choice < self.choices:
            raise IndexError(choice)
        weights = self._warm.get(task)
        if weights is None:
            weights = self._warm[task] = self._cold()
        weights *= KEPT
        weights[choice] += 1.0 - KEPT

    def mix(self, task: str) -> Vector:
        """float64[choices], sums to 1. A copy. Raises: KeyError for a class that is not there."""
        if task not in self.classes:
            raise KeyError(task)
        warm = self._warm.get(task)
        return self._cold() if warm is None else warm.copy()

    def mixes(self) -> dict[str, tuple[float, ...]]:
        """The mix of every class."""
        return {task: tuple(self.mix(task).tolist()) for task in self.classes}

    def mean(self) -> Vector:
        """The mix over all classes, in which those still cold count as even."""
        cold = len(self.classes) - len(self._warm)
        even = np.full(self.choices, cold / self.choices)
        mean: Vector = sum(self._warm.values(), start=even) / len(self.classes)
        return mean

    def rearrange(self, origins: Sequence[int | None]) -> None:
        """Other things to choose from now: each by its former index, None for a new one.

        A new one starts with an even share; those that stay keep their proportions.
        """
        if not origins:
            raise ConfigError("a mixer needs at least one choice")
        even = 1.0 / len(origins)
        new = even * sum(origin is None for origin in origins)
        for task, old in self._warm.items():
            kept = np.array([0.0 if origin is None else old[origin] for origin in origins])
            stays = np.array([origin is not None for origin in origins])
            total = float(kept.sum())
            kept = kept * ((1.0 - new) / total) if total > 0 else np.where(stays, even, 0.0)
            self._warm[task] = np.where(stays, kept, even)
        self.choices = len(origins)

    def state(self) -> dict[str, list[float]]:
        """What a checkpoint keeps: the mixes of classes that have had a choice."""
        return {name: weights.tolist() for name, weights in self._warm.items()}

    def restore(self, state: dict[str, list[float]]) -> None:
        """Go on from `state`; classes it does not have are cold.

        Raises:
            ConfigError: A mix of another length, or one that is none; nothing has changed.
        """
        warm = {}
        for name in self.classes:
            if name not in state:
                continue
            given = np.asarray(state[name], dtype=np.float64)
            right = given.shape == (self.choices,) and np.isfinite(given).all() and (given >= 0).all()
            if not right or abs(given.sum() - 1.0) > 1e-6:
                raise ConfigError(f"routing checkpoint: the mix of '{name}' does not fit")
            warm[name] = given.copy()
        self._warm = warm

    def _cold(self) -> Vector:
        if not self._warm:
            return np.full(self.choices, 1.0 / self.choices)
        mean: Vector = np.mean(list(self._warm.values()), axis=0)
        return mean
