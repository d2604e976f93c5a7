"""What a gateway tells the Resonator: outcomes and scores, in batches, after the last byte.

Nobody waits for it. What the Resonator does not acknowledge is sent again; past the bound the oldest goes,
because routing can do without an outcome and a gateway cannot do without memory.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from zoran_ray.routing.reports import Answered, Scored

log = logging.getLogger("zoran.gateway")

EVERY_S = 0.25
MOST = 4096
_BATCH = 256

Send = Callable[[tuple[Answered | Scored, ...]], Awaitable[None]]


class Reporting:
    """Outcomes on their way to the Resonator.

    Args:
        send: One call of the actor; returns once they are acknowledged.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._waiting: deque[Answered | Scored] = deque(maxlen=MOST)
        self._sending = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, report: Answered | Scored) -> None:
        """Send it soon."""
        self._waiting.append(report)

    async def run(self) -> None:
        """Sends until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            with contextlib.suppress(Exception):
                await self.flush()

    async def flush(self) -> None:
        """Send everything there is. Raises: what `send` raises; nothing is lost by it."""
        async with self._sending:
            while self._waiting:
                batch = tuple(self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting))))
                try:
                    await self._send(batch)
                except BaseException:
                    # In front of what came since; what does not fit any more is the oldest of it.
                    room = MOST - len(self._waiting)
                    self._waiting.extendleft(reversed(batch[-room:] if room else ()))
                    raise
