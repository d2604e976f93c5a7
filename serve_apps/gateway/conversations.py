"""What a gateway remembers of conversations: who answered last, and what was asked last. Bounded.

Knows hashes, never what was said.
"""

from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from typing import TypeVar

from zoran_ray.wire import Endpoint, RequestBody
from zoran_ray.wire.affinity import affinity_of

K = TypeVar("K")
V = TypeVar("V")

MOST = 16_384
RETRY_S = 120.0
"""The same request of the same key within this time means that the first answer was not good enough."""

Talk = tuple[int, int | None]
_MOST_OPENING = 8


def talk_of(body: RequestBody) -> Talk | None:
    """Equal for every turn of one conversation; None if there is nothing to go by.

    A user or a cache's key that the caller names goes before the text in `affinity`, but whoever it is may
    hold many conversations: their first questions tell them apart.
    """
    if body.affinity is None:
        return None
    said = body.document.get("messages") or body.document.get("input")
    if isinstance(said, list):
        said = [m for m in said[:_MOST_OPENING] if isinstance(m, dict) and m.get("role") == "user"][:1]
    return body.affinity, affinity_of(Endpoint.CHAT_COMPLETIONS, {"messages": said})


class Conversations:
    """Memory of one gateway; another gateway decides anew.

    Args:
        clock: Monotonic seconds.
        most: Conversations, and last requests, that are kept; the oldest are forgotten.
    """

    def __init__(self, clock: Callable[[], float], most: int = MOST) -> None:
        self._clock = clock
        self._most = most
        self._arms: OrderedDict[tuple[str, Talk], str] = OrderedDict()
        self._asked: OrderedDict[tuple[str, bytes], tuple[str, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._arms) + len(self._asked)

    def arm(self, key_id: str, talk: Talk | None) -> str | None:
        """Who answered this conversation of this key last, None if nobody knows."""
        return None if talk is None else self._arms.get((key_id, talk))

    def answered(self, key_id: str, talk: Talk | None, arm: str) -> None:
        """`arm` has answered it."""
        if talk is not None:
            self._put(self._arms, (key_id, talk), arm)

    def asked(self, key_id: str, raw: bytes, request_id: str) -> str | None:
        """Remember a request.

        Returns:
            The id of the same request that the same key sent a short while ago, None if it did not.
        """
        place = key_id, blake2b(raw, digest_size=16).digest()
        before = self._asked.get(place)
        self._put(self._asked, place, (request_id, self._clock()))
        if before is None or self._clock() - before[1] > RETRY_S:
            return None
        return before[0]

    def _put(self, into: OrderedDict[K, V], key: K, value: V) -> None:
        into[key] = value
        into.move_to_end(key)
        if len(into) > self._most:
            into.popitem(last=False)
