"""How many jobs may run or wait at once: what is too much is refused at once, and not kept."""

import contextlib
from collections.abc import Iterator

from zoran_ray.errors import Overloaded

_RETRY_AFTER_S = 5.0


class Admission:
    """Counts jobs. For one event loop.

    Args:
        most: Jobs at once, those that wait included.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """A place for one job. Raises: Overloaded: There is none."""
        if self._held >= self._most:
            raise Overloaded(
                "Too many jobs wait for the sandbox. Try again shortly.", retry_after_s=_RETRY_AFTER_S
            )
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
