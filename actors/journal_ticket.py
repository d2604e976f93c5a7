"""A call that waits for the journal's disk. Knows events and its caller's future, nothing of files."""

import asyncio
from dataclasses import dataclass

from zoran_ray.errors import ZoranError
from zoran_ray.journal import Event


@dataclass(slots=True, eq=False)
class Ticket:
    """Events that belong together.

    Attributes:
        events: All of them are written, or none.
        durable: Whether the caller waits until they are on disk.
        done: Gets the number of the first one's entry.
    """

    events: tuple[Event, ...]
    durable: bool
    done: asyncio.Future[int]

    def tell(self, outcome: int | ZoranError) -> None:
        """The caller what became of them, if he has not gone."""
        if self.done.done():
            return
        if isinstance(outcome, ZoranError):
            self.done.set_exception(outcome)
        else:
            self.done.set_result(outcome)
