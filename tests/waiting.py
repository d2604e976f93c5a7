"""Waiting for what happens elsewhere, with a deadline."""

import time
from collections.abc import Callable

WAIT_S = 240.0


def until(what: str, holds: Callable[[], bool], deadline_s: float = WAIT_S, every_s: float = 0.1) -> float:
    """Wait until it holds. Returns: how long that took, in seconds. Raises: TimeoutError."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > deadline_s:
            raise TimeoutError(f"not within {deadline_s:g} s: {what}")
        time.sleep(every_s)
    return time.monotonic() - began
