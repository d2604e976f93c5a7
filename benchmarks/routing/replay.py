"""Replays a record through a policy, one prompt after the other, in an order that the seed decides."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.routing.data import Record
from benchmarks.routing.policies import Policy

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Run:
    """One replay.

    Attributes:
        arms: int64[N], what was chosen.
        reward: float64[N].
        usd: float64[N].
    """

    arms: NDArray[np.int64]
    reward: Array
    usd: Array


def order(record: Record, seed: int) -> NDArray[np.int64]:
    """A permutation of the record's rows."""
    return np.random.default_rng(1000 + seed).permutation(len(record))


def replay(record: Record, policy: Policy, rows: NDArray[np.int64]) -> Run:
    """Every policy sees the same prompts in the same order and learns only of the arm it chose."""
    arms = np.zeros(rows.size, dtype=np.int64)
    for step, row in enumerate(rows):
        x = record.x[row]
        arm = arms[step] = policy.choose(x)
        policy.learn(x, int(arm), float(record.reward[row, arm]), float(record.usd[row, arm]))
    return Run(arms, record.reward[rows, arms], record.usd[rows, arms])
