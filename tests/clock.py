"""Time that stands still until a test moves it."""


class Clock:
    """In place of `time.monotonic` or `time.time`.

    Args:
        now: Seconds.
    """

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
