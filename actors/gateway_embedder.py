"""Vectors that a gateway makes, for a thread of an actor. Knows no memory."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from ray.exceptions import RayError

from zoran_ray.errors import Unavailable, UpstreamError, ZoranError, plain
from zoran_ray.memory.embedder import EmbedderId
from zoran_ray.memory.record import Vector

TRIES = 8
"""Over two minutes: an embedding model may be restarted in the middle of a million texts."""
WAIT_S = 40.0
"""Longest wait for one answer, in seconds: longer than a gateway takes to say that it cannot."""
_FIRST_PAUSE_S = 0.5
_MOST_PAUSE_S = 30.0

Ask = Callable[[list[str], str], list[bytes]]


class GatewayEmbedder:
    """An `Embedder`: any gateway makes the vectors. It blocks, and can be sent to another process.

    Args:
        embedder: What the gateways are set to.
        ask: Asks one of them once.
        sleep: Waits between tries, in seconds.
        tries: How often they are asked at most.
    """

    def __init__(
        self,
        embedder: EmbedderId,
        ask: Ask | None = None,
        sleep: Callable[[float], None] = time.sleep,
        tries: int = TRIES,
    ) -> None:
        self.id = embedder.id
        self.dimension = embedder.dimension
        self._ask = ask or _ask
        self._sleep = sleep
        self._tries = tries

    def embed(self, texts: Sequence[str], tenant: str = "") -> Vector:
        """float32[len(texts), dimension].

        Raises:
            ZoranError: What a gateway says, where trying again does not help or did not.
        """
        for attempt in range(self._tries):
            if attempt:
                self._sleep(min(_MOST_PAUSE_S, _FIRST_PAUSE_S * 2**attempt))
            try:
                return self._vectors(self._ask(list(texts), tenant))
            except ZoranError as error:
                if not error.retryable:
                    raise plain(error) from None
                failure = plain(error)
            except (TimeoutError, RayError):
                failure = Unavailable("No gateway answers; look at `zoran status`.", retry_after_s=5.0)
        raise failure

    def _vectors(self, made: list[bytes]) -> Vector:
        rows = [np.frombuffer(vector, "<f4") for vector in made]
        if any(row.shape != (self.dimension,) for row in rows):
            raise UpstreamError(f"A gateway gave vectors that are not of {self.dimension} numbers.")
        return np.stack(rows) if rows else np.zeros((0, self.dimension), np.float32)


def _ask(texts: list[str], tenant: str) -> list[bytes]:
    # Serve's handles live in an event loop, and whoever blocks here is a thread beside one.
    return asyncio.run_coroutine_threadsafe(_asked(texts, tenant), _loop()).result(WAIT_S)


async def _asked(texts: list[str], tenant: str) -> list[bytes]:
    async with asyncio.timeout(WAIT_S):
        made: list[bytes] = await _gateway().embed.remote(texts, tenant)
        return made


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="gateway-embedder", daemon=True).start()
    return loop


@cache
def _gateway() -> Any:
    from ray import serve  # a shard imports it only to be reindexed

    return serve.get_deployment_handle("gateway", app_name="gateway")
