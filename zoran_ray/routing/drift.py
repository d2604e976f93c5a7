"""Whether an arm has changed: a cumulative sum of how far its outcomes are off. Knows one number a step."""

import math


class PageHinkley:
    """Two-sided Page-Hinkley test on residuals in units of their standard deviation.

    Args:
        tolerance: Change of the mean, in standard deviations, that is still none.
        threshold: Sum that is an alarm: higher is later and surer.
        settle: Observations before the first alarm.

    Source: Page, Continuous Inspection Schemes, 1954; Hinkley, 1971.
    """

    def __init__(self, tolerance: float = 0.25, threshold: float = 15.0, settle: int = 20) -> None:
        self._tolerance = tolerance
        self._threshold = threshold
        self._settle = settle
        self.reset()

    def reset(self) -> None:
        """Start again, as after an alarm."""
        self._seen = 0
        self._up = self._down = 0.0

    def changed(self, residual: float, std: float) -> bool:
        """Take in one residual; true once they have drifted away from 0, then it starts again."""
        if not (math.isfinite(residual) and std > 0):
            return False
        z = max(-4.0, min(4.0, residual / std))
        self._seen += 1
        up, down = self._up + z - self._tolerance, self._down - z - self._tolerance
        self._up, self._down = up if up > 0.0 else 0.0, down if down > 0.0 else 0.0
        if self._seen < self._settle or (up < self._threshold and down < self._threshold):
            return False
        self.reset()
        return True
