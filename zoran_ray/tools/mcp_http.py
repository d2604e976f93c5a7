"""A connection to an MCP server over streamable HTTP, in bounded memory.

The address is the operator's, who may mean a server of this machine: the guard of fetched URLs is not
asked. The SDK follows a redirect only to the same origin.

Source: Model Context Protocol, "Transports: Streamable HTTP".
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp.client.streamable_http import streamable_http_client

MOST_ANSWER_BYTES = 4 * 1024 * 1024
CONNECT_S = 5.0
READ_S = 300.0
"""Longest silence of a stream; a call ends by its own time before."""


@asynccontextmanager
async def http_transport(
    url: str,
    headers: Mapping[str, str] | None = None,
    *,
    most_bytes: int = MOST_ANSWER_BYTES,
) -> AsyncIterator[Any]:
    """Connects and gives the two streams that the SDK's `Client` wants.

    Args:
        url: Of the server.
        headers: Sent with every request, such as its key.
        most_bytes: Longest answer, and longest event of a stream.
    """
    # Not packed: a few bytes could unpack to gigabytes.
    sent = {**(headers or {}), "accept-encoding": "identity"}
    client = httpx2.AsyncClient(
        transport=_Bounded(most_bytes),
        headers=sent,
        timeout=httpx2.Timeout(READ_S, connect=CONNECT_S),
    )
    async with (
        client,
        streamable_http_client(url, http_client=client, max_sse_event_size=most_bytes) as streams,
    ):
        yield streams


class _Bounded(httpx2.AsyncBaseTransport):
    """The network, where an answer that is too long breaks off."""

    def __init__(self, most_bytes: int) -> None:
        self._network = httpx2.AsyncHTTPTransport()
        self._most_bytes = most_bytes

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._network.handle_async_request(request)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise httpx2.RemoteProtocolError("packed, which was not asked for", request=request)
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = _Counted(response.stream, self._most_bytes)
        return response

    async def aclose(self) -> None:
        await self._network.aclose()


class _Counted(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, most_bytes: int) -> None:
        self._stream = stream
        self._left = most_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            self._left -= len(chunk)
            if self._left < 0:
                raise httpx2.RemoteProtocolError("longer than allowed")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
