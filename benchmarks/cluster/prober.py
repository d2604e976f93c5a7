"""Asks a server all the time and writes down what became of each request and when. Knows HTTP alone."""

import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.serving.contender import Endpoint
from benchmarks.serving.http1 import Connection, request_bytes

ASKERS = 4
DEADLINE_S = 15.0
TOKENS = 8
_PAUSE_S = 0.02
_NUMBERS = itertools.count()
ANSWERED, LATE = "answered", "no answer in time"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request.

    Attributes:
        began: Monotonic seconds.
        ended: Monotonic seconds.
        outcome: `answered`, or what went wrong.
    """

    began: float
    ended: float
    outcome: str

    @property
    def failed(self) -> bool:
        """Whether it was not answered."""
        return self.outcome != ANSWERED


class Prober:
    """`ASKERS` clients of one server; each begins a request when its last one is over.

    Args:
        endpoint: Whom to ask.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self.log: list[Asked] = []

    async def run(self) -> None:
        """Ask until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(ASKERS):
                group.create_task(self._ask_on())

    def answered_since(self, moment: float) -> int:
        """Requests that began after a moment and were answered."""
        return sum(asked.began >= moment and not asked.failed for asked in self.log)

    async def _ask_on(self) -> None:
        connection: Connection | None = None
        try:
            while True:
                began = time.monotonic()
                try:
                    if connection is None or not connection.usable:
                        connection = await Connection.open(self._endpoint.base_url)
                    outcome = await self._ask(connection)
                except TimeoutError:
                    outcome, connection = LATE, None
                except OSError as error:
                    outcome, connection = type(error).__name__, None
                self.log.append(Asked(began, time.monotonic(), outcome))
                await asyncio.sleep(_PAUSE_S)
        finally:
            if connection is not None:
                connection.close()

    async def _ask(self, connection: Connection) -> str:
        endpoint = self._endpoint
        question = {"role": "user", "content": f"What is {next(_NUMBERS) % 900}+25?"}
        body = {"model": endpoint.model, "messages": [question], "max_tokens": TOKENS, "temperature": 0}
        request = request_bytes(endpoint.chat, endpoint.headers, json.dumps(body).encode())
        pieces: list[bytes] = []
        status = await connection.exchange(request, pieces.append, DEADLINE_S)
        if status != 200:
            return f"status {status}"
        return ANSWERED if b'"content"' in b"".join(pieces) else "no answer in the body"


@asynccontextmanager
async def probing(endpoint: Endpoint) -> AsyncIterator[Prober]:
    """A prober at work."""
    prober = Prober(endpoint)
    task = asyncio.create_task(prober.run())
    try:
        yield prober
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def told(log: list[Asked], since: float) -> dict[str, Any]:
    """What a fault at `since` did to requests that ended after it.

    Returns:
        `recovered_s`: seconds from the fault to the end of the last request that failed, 0 where none did;
        `answered`, `failed`, `outcomes` by kind; `gap_s`: longest time in which none was answered;
        `longest_s`: the slowest answer.
    """
    after = [asked for asked in log if asked.ended >= since]
    answers = sorted(asked.ended for asked in after if not asked.failed)
    failures = [asked.ended for asked in after if asked.failed]
    moments = [since, *answers]
    return {
        "recovered_s": max(failures) - since if failures else 0.0,
        "answered": len(answers),
        "failed": len(failures),
        "outcomes": dict(Counter(asked.outcome for asked in after if asked.failed)),
        "gap_s": max((later - earlier for earlier, later in itertools.pairwise(moments)), default=0.0),
        "longest_s": max((a.ended - a.began for a in after if not a.failed), default=0.0),
    }
