"""The loops of learning that are worth compiling. Knows arrays only.

In numpy they are dozens of small calls, and there calling takes longer than counting.
"""

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

_ROW, _TABLE, _STACK = "f8[::1]", "f8[:, ::1]", "f8[:, :, ::1]"

_F = TypeVar("_F", bound=Callable[..., Any])


def _compiled(signature: str) -> Callable[[_F], _F]:
    """Compile at once, so that the first outcome is not learned late; kept on disk for the next process."""

    def made(function: _F) -> _F:
        try:
            ready: _F = njit(signature, cache=True)(function)
        except RuntimeError:  # there is no folder to keep it in
            ready = njit(signature)(function)
        return ready

    return made


@_compiled(f"void({_STACK}, {_ROW}, {_TABLE})")
def average(stack: NDArray[np.float64], evidence: Vector, weights: Matrix) -> None:
    """What all beliefs say together, each by its evidence.

    Args:
        stack: As in `hear`.
        evidence: As in `hear`.
        weights: float64[scores, size]; written.
    """
    shares = np.exp(evidence - evidence.max())
    shares /= shares.sum()
    for row in range(weights.shape[0]):
        for entry in range(weights.shape[1]):
            total = 0.0
            for belief in range(shares.size):
                total += shares[belief] * stack[belief, row, entry]
            weights[row, entry] = total


@_compiled(f"void({_STACK}, {_ROW}, {_ROW}, f8, f8, {_ROW}, f8, {_TABLE}, {_TABLE}, {_ROW}, {_TABLE})")
def hear(
    stack: NDArray[np.float64],
    evidence: Vector,
    x: Vector,
    score: float,
    noise: float,
    luck: Vector,
    remembered: float,
    heard: Matrix,
    gain: Matrix,
    told: Vector,
    weights: Matrix,
) -> None:
    """Narrow every belief by one score, let it count for as much as it was right, and average them.

    A row of a belief moves against how far it was off, in proportion to what is not known yet in the
    direction of the prompt. For a row of the covariance, "off" is that same doubt: this is the rank-one
    step of recursive least squares.

    Args:
        stack: float64[beliefs, scores + size, size]: mean, draws, covariance; changed in place.
        evidence: float64[beliefs], log weights; changed in place.
        x: float64[size], the prompt.
        noise: Variance of the score.
        luck: float64[scores], what the mean (0) and each draw hear on top of the score.
        remembered: Share of the old evidence that counts on.
        heard: float64[beliefs, scores + size]; written: how far off each row was.
        gain: float64[beliefs, size]; written: what a row moved by, for each 1 that it was off.
        told: float64[beliefs]; written: what was added to the evidence.
        weights: As in `average`.
    """
    scores = luck.size
    for belief in range(evidence.size):
        rows, off, by = stack[belief], heard[belief], gain[belief]
        off[:] = np.dot(rows, x)
        sure = noise + np.dot(off[scores:], x)
        for row in range(scores):
            off[row] -= score + luck[row]
        told[belief] = -0.5 * (off[0] * off[0] / sure + math.log(sure))
        for entry in range(x.size):
            by[entry] = off[scores + entry] / sure
        for row in range(off.size):
            for entry in range(x.size):
                rows[row, entry] -= off[row] * by[entry]
    told += (remembered - 1.0) * evidence - told.max()
    evidence += told
    average(stack, evidence, weights)


@_compiled(f"UniTuple(f8, 2)({_ROW}, {_ROW}, f8, f8, {_TABLE})")
def clock(var: Vector, x: Vector, tokens: float, latency: float, weights: Matrix) -> tuple[float, float]:
    """Tokens and seconds: as sure of each entry as what it has seen, entries apart from each other.

    Args:
        var: float64[size], doubt in units of the noise; changed in place.
        tokens: Logarithm of the answer's tokens; NaN: not known.
        latency: Logarithm of its seconds; NaN: not known.
        weights: float64[2, size]: of tokens, of latency; changed in place.

    Returns:
        How far each was off, 0 where it is not known.
    """
    doubt, off_tokens, off_latency = 1.0, 0.0, 0.0
    for entry in range(x.size):
        doubt += var[entry] * x[entry] * x[entry]
    if not math.isnan(tokens):
        off_tokens = tokens - np.dot(weights[0], x)
    if not math.isnan(latency):
        off_latency = latency - np.dot(weights[1], x)
    for entry in range(x.size):
        gain = var[entry] * x[entry] / doubt
        var[entry] -= gain * var[entry] * x[entry]
        weights[0, entry] += off_tokens * gain
        weights[1, entry] += off_latency * gain
    return off_tokens, off_latency


@_compiled("f8(f8[:,:], f8[:,:], f8)")
def spending(quality: Matrix, usd: Matrix, weight: float) -> float:
    """Mean cost of the best arm for each request, where a dollar counts `weight`.

    Args:
        quality: float64[N, K].
        usd: float64[N, K].
    """
    total = 0.0
    for row in range(usd.shape[0]):
        best = 0
        for arm in range(1, usd.shape[1]):
            gain = quality[row, arm] - quality[row, best]
            if gain > weight * (usd[row, arm] - usd[row, best]):
                best = arm
        total += usd[row, best]
    mean: float = total / usd.shape[0]
    return mean
