"""The ΔM11.3 guard: is routing still as good as it was? If not, back to when it was.

Stability S is the worst of three healths in [0, 1]: how much the mix is still the last good one, how far
the reward is above its floor, and how many requests fail or miss their latency. Below the threshold the
caller rolls back to the last good state; the guard only judges. Knows vectors and counts, not what they
are of.

Source: the original PolyResonator (S = (1 + coherence) / 2, rollback under 0.70).
"""

import math
from collections import deque
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from zoran_ray.errors import ConfigError

Vector = NDArray[np.float64]


class Verdict(Enum):
    """What the caller is to do."""

    HEALTHY = "healthy"
    """Keep the present state as the last good one."""
    WATCH = "watch"
    """Neither good enough to keep nor bad enough to leave."""
    ROLL_BACK = "roll back"
    """Return to the last good state and explore less for a while."""


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """When to roll back.

    Attributes:
        threshold: Stability below which the state is left.
        hysteresis: How far above the threshold a state must be to be kept.
        window: Latest requests that are looked at.
        least: Requests before the first judgement, and between two.
        cooldown: Requests after a rollback in which there is no other.
        slack: How far the reward may be below its floor before that is all bad.
        most_failures: Share of failed or late requests that is all bad.
    """

    threshold: float = 0.70
    hysteresis: float = 0.05
    window: int = 200
    least: int = 50
    cooldown: int = 200
    slack: float = 0.2
    most_failures: float = 0.5

    def __post_init__(self) -> None:
        shares = (self.threshold, self.hysteresis, self.slack, self.most_failures)
        if not all(0 < s <= 1 for s in shares) or min(self.window, self.least, self.cooldown) < 1:
            raise ConfigError("routing guard: shares are within 0..1, counts are at least 1")


@dataclass(frozen=True, slots=True)
class Stability:
    """S and what it is made of, each 0 (bad) to 1 (good)."""

    value: float
    coherence: float
    reward: float
    service: float


class Guard:
    """Watches the latest requests against the last good mix and a floor of reward.

    Args:
        settings: Thresholds.
    """

    def __init__(self, settings: GuardSettings = GuardSettings()) -> None:
        self.settings = settings
        self.rollbacks = 0
        self._short = np.zeros(settings.window)
        self._heard = 0
        self._failed: deque[bool] = deque(maxlen=settings.window)
        self._good_mix: Vector | None = None
        self._since = 0
        self._cooling = 0

    @property
    def conservative(self) -> bool:
        """Whether to explore less, because a rollback was a short while ago."""
        return self._cooling > 0

    @property
    def due(self) -> bool:
        """Whether enough requests have come for a judgement."""
        return self._since >= self.settings.least

    def observe(self, reward: float | None, floor: float, *, failed: bool) -> None:
        """Count one finished request.

        Args:
            reward: Its score, None if nobody said.
            floor: What the best fixed choice within the budget would have scored.
            failed: It ended with an error or too late.
        """
        self._since += 1
        self._cooling = max(0, self._cooling - 1)
        self._failed.append(failed)
        if reward is not None and math.isfinite(reward) and math.isfinite(floor):
            self._short[self._heard % self._short.size] = floor - reward
            self._heard += 1

    def stability(self, mix: Vector) -> Stability:
        """S now, for the present mix."""
        coherence = 1.0 if self._good_mix is None else (1.0 + _cosine(mix, self._good_mix)) / 2.0
        reward = self._reward_health()
        failures = sum(self._failed) / len(self._failed) if self._failed else 0.0
        service = max(0.0, 1.0 - failures / self.settings.most_failures)
        return Stability(min(coherence, reward, service), coherence, reward, service)

    def judge(self, mix: Vector) -> Verdict:
        """The verdict on the present state; after HEALTHY its mix is the last good one."""
        if not self.due:
            return Verdict.WATCH
        self._since = 0
        stable = self.stability(mix).value
        if stable < self.settings.threshold and not self.conservative and self._good_mix is not None:
            self._cooling = self.settings.cooldown
            self.rollbacks += 1
            self._heard = 0
            self._failed.clear()
            return Verdict.ROLL_BACK
        if stable >= self.settings.threshold + self.settings.hysteresis:
            self._good_mix = mix.copy()
            return Verdict.HEALTHY
        return Verdict.WATCH

    def _reward_health(self) -> float:
        """1 at or above the floor; a shortfall counts as far as chance does not explain it."""
        count = min(self._heard, self._short.size)
        if count < self.settings.least:
            return 1.0
        short = self._short[:count]
        sure = float(short.mean()) - 1.645 * float(short.std()) / math.sqrt(count)
        return min(1.0, max(0.0, 1.0 - sure / self.settings.slack))


def _cosine(a: Vector, b: Vector) -> float:
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths > 0 else 1.0
