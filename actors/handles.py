"""Handles of named actors, kept by name. The GCS may take a minute to find one; no event loop waits for it.

Knows no actor, and nothing of calls.
"""

from collections.abc import Callable
from functools import partial

from ray.actor import ActorHandle

from actors.single_flight import SingleFlight

_MOST = 1024
"""Past it all are forgotten and found again: a process talks to some tens of actors."""


class Handles:
    """Finds each actor once, and again when it is dead: who takes over from a driver has actors of its own.

    Args:
        find: Asks Ray for the actor of this name; may block. Raises: ValueError: There is none.
        dead: Whether this process knows that the actor is dead. Does not block.
    """

    def __init__(self, find: Callable[[str], ActorHandle], dead: Callable[[ActorHandle], bool]) -> None:
        self._find = find
        self._dead = dead
        self._known: dict[str, ActorHandle] = {}
        self._searches: dict[str, SingleFlight[ActorHandle]] = {}

    async def of(self, name: str) -> ActorHandle:
        """The actor of this name.

        Raises:
            ValueError: There is none.
            ray.exceptions.RayError: Ray cannot be asked.
        """
        if (handle := self.known(name)) is not None:
            return handle
        if len(self._searches) >= _MOST:
            self._searches.clear()
            self._known.clear()
        search = self._searches.setdefault(name, SingleFlight(partial(self._find, name)))
        handle = self._known[name] = await search.answer()
        return handle

    def known(self, name: str) -> ActorHandle | None:
        """The actor of this name if it was found before and is not dead."""
        handle = self._known.get(name)
        return None if handle is None or self._dead(handle) else handle
