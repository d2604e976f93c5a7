"""A provider's answer as it arrives: waiting with a deadline, reading whole or by event, closing.

Knows httpx and event framing; no dialect, and not how the request was made.
"""

import asyncio
import contextlib
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import httpx
import orjson

from zoran_ray.engines.providers.framing import Event, EventTooLarge, Frames
from zoran_ray.engines.providers.refusals import Refusals
from zoran_ray.errors import DeadlineExceeded, ProviderBusy, UpstreamError, ZoranError

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Largest answer kept whole: a batch of embeddings is tens of MB."""
MAX_ERROR_BYTES = 64 * 1024

_JSON, _EVENTS = "application/json", "text/event-stream"
_DRAIN_S = 0.05
"""How long the end of a body may take to follow an answer's last word."""
_POOL_RETRY_S = 1.0

_T = TypeVar("_T")

log = logging.getLogger("zoran.engines")


class Wait:
    """Waits for a provider, never past the deadline, and names what went wrong.

    Args:
        provider: What messages call it.
        deadline: In seconds of `clock`.
        stall_s: Longest wait for one step, in seconds.
    """

    def __init__(
        self, provider: str, deadline: float, clock: Callable[[], float], stall_s: float = math.inf
    ) -> None:
        self._provider = provider
        self._deadline = deadline
        self._clock = clock
        self._stall_s = stall_s

    async def until_done(self, step: Callable[[], Awaitable[_T]]) -> _T:
        """The result of one step.

        Raises:
            ProviderBusy: No connection is free.
            UpstreamError: The connection failed.
            DeadlineExceeded: The deadline has passed, or the step took too long.
        """
        left_s = self._deadline - self._clock()
        if left_s <= 0:
            raise self._late()
        try:
            async with asyncio.timeout(min(left_s, self._stall_s)):
                return await step()
        except TimeoutError:
            raise self._late(stalled=self._stall_s < left_s) from None
        except httpx.HTTPError as failure:
            log.info("%s: %s", self._provider, type(failure).__name__)
            # Without its cause, which carries the request, prompt included.
            raise self._lost(failure) from None

    def _late(self, *, stalled: bool = False) -> DeadlineExceeded:
        if stalled:
            return DeadlineExceeded(f"{self._provider} said nothing for {self._stall_s:g} s. Try again.")
        return DeadlineExceeded(f"{self._provider} did not finish in the time this request had.")

    def _lost(self, failure: httpx.HTTPError) -> ZoranError:
        if isinstance(failure, httpx.PoolTimeout):
            return ProviderBusy(
                f"All connections to {self._provider} are in use. Try again shortly.",
                retry_after_s=_POOL_RETRY_S,
            )
        if isinstance(failure, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
            return UpstreamError(f"{self._provider} cannot be reached. Try again.")
        return UpstreamError(f"The connection to {self._provider} broke off. Try again.")


class Reply:
    """An answer whose head is there. Read it either whole or event by event, then close it.

    Args:
        closing: Keeps what closes connections alive until it is done.

    Attributes:
        refusals: Turns an error object in the answer into one of our errors.
        headers: Of the answer.
    """

    def __init__(
        self, response: httpx.Response, refusals: Refusals, wait: Wait, closing: set[asyncio.Future[None]]
    ) -> None:
        self.refusals = refusals
        self.headers: Mapping[str, str] = response.headers
        self._response = response
        self._raw = response.aiter_raw()
        self._wait = wait
        self._closing = closing
        self._first = b""
        self._ended = False
        self._frames = Frames()
        self._events: deque[Event] = deque()

    async def refusal(self, streamed: bool) -> ZoranError | None:
        """The error that the head of this answer means, if it means one; reads the body of such a one."""
        status, provider = self._response.status_code, self.refusals.provider
        if not 200 <= status < 300:
            return self.refusals.of(status, self.headers, await self._beginning())
        if self.headers.get("content-encoding", "identity") != "identity":
            return UpstreamError(f"{provider} sent a compressed answer although asked not to.")
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == (_EVENTS if streamed else _JSON):
            return None
        if kind == _JSON and (document := _with_error(await self._beginning())):
            return self.refusals.reported(document)
        promised = "events" if streamed else "JSON"
        return UpstreamError(f"{provider} answered with something other than {promised}. Try again.")

    async def begin(self) -> None:
        """Wait for the first byte. Raises: as `event`."""
        self._first = await self._read()
        if not self._first:
            raise UpstreamError(f"{self.refusals.provider} answered with nothing. Try again.")

    async def whole(self) -> bytes:
        """The whole body.

        Raises:
            UpstreamError: It broke off, or is larger than `MAX_ANSWER_BYTES`.
            DeadlineExceeded: The request's deadline has passed.
        """
        data, complete = await self._up_to(MAX_ANSWER_BYTES)
        if not complete:
            raise UpstreamError(f"{self.refusals.provider} sent more than {MAX_ANSWER_BYTES} bytes.")
        return data

    async def event(self) -> Event | None:
        """The next event; None when the connection has ended in good order.

        Raises:
            UpstreamError: It broke off, or an event does not end.
            DeadlineExceeded: The request's deadline has passed.
        """
        while not self._events:
            piece = await self._read()
            if not piece:
                return self._frames.rest()
            try:
                self._events.extend(self._frames.feed(piece))
            except EventTooLarge:
                raise UpstreamError(
                    f"{self.refusals.provider} sent an event that does not end. Try again."
                ) from None
        return self._events.popleft()

    async def close(self, *, finished: bool = False) -> None:
        """Give the connection back, or cut it if the answer was not read to its end.

        A cancellation while this waits does not keep it from being done.

        Args:
            finished: The answer's own last word was read, so only the end of its body can be missing.
        """
        closing = asyncio.ensure_future(self._closed(finished))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        await asyncio.shield(closing)

    async def _closed(self, finished: bool) -> None:
        if finished and not self._ended:
            # Without the end of its body, the connection could not serve another request.
            with contextlib.suppress(TimeoutError, httpx.HTTPError):
                async with asyncio.timeout(_DRAIN_S):
                    await anext(self._raw, b"")
        with contextlib.suppress(httpx.HTTPError):
            await self._response.aclose()

    async def _beginning(self) -> bytes:
        """The beginning of a body that explains an error, as far as it comes."""
        try:
            return (await self._up_to(MAX_ERROR_BYTES))[0]
        except UpstreamError:
            return b""

    async def _up_to(self, most: int) -> tuple[bytes, bool]:
        """At most that many bytes of the body, and whether that is all of it."""
        parts, size = [], 0
        while piece := await self._read():
            parts.append(piece)
            if (size := size + len(piece)) > most:
                return b"".join(parts)[:most], False
        return b"".join(parts), True

    async def _read(self) -> bytes:
        """The next bytes; none at the end."""
        if self._first:
            first, self._first = self._first, b""
            return first
        piece = await self._wait.until_done(lambda: anext(self._raw, b""))
        self._ended = not piece
        return piece


def _with_error(body: bytes) -> dict[str, Any] | None:
    """A body that came as a success and holds an error object."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) and document.get("error") else None
