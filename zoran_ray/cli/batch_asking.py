"""Asks a server over HTTP for one line of a file. Knows aiohttp and OpenAI's error bodies, no files."""

import ssl
from types import TracebackType
from typing import Self

import aiohttp
import orjson

from zoran_ray.batch.answers import outcome_of
from zoran_ray.batch.lines import Request
from zoran_ray.batch.outcome import MAX_ANSWER_BYTES, Outcome
from zoran_ray.batch.turn import TURN_HEADER, WAITS
from zoran_ray.client.failures import retry_after_s
from zoran_ray.client.requests import CONNECT_TIMEOUT_S, endpoint, headers, is_loopback
from zoran_ray.errors import DeadlineExceeded, Unreachable, UpstreamError


class HttpAsk:
    """Connections to one server, whose interactive requests go first. Use it in an `async with`.

    Args:
        base_url: With or without `/v1`.
        api_key: Sent as bearer token; None for a server that needs none.
        concurrency: Connections at a time.
        timeout_s: Longest that one answer may take, in seconds.
        trust: How the server is known by its certificate; None: as any other server is.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None,
        concurrency: int,
        timeout_s: float,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._base = endpoint(base_url)
        self._headers = headers(api_key) | {
            "content-type": "application/json",
            TURN_HEADER: WAITS,
        }
        self._concurrency = concurrency
        self._trust: ssl.SSLContext | bool = trust or True
        self._timeout_s = timeout_s

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers=self._headers,
            connector=aiohttp.TCPConnector(limit=self._concurrency, ssl=self._trust),
            timeout=aiohttp.ClientTimeout(total=self._timeout_s, sock_connect=CONNECT_TIMEOUT_S),
            trust_env=not is_loopback(self._base),
            auto_decompress=True,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def __call__(self, request: Request) -> Outcome:
        """Asks once.

        Raises:
            Unreachable: Nobody answers there.
            DeadlineExceeded: Not in time.
            UpstreamError: The connection broke off.
        """
        url = f"{self._base}{request.endpoint.path.removeprefix('/v1')}"
        try:
            async with self._session.post(
                url, data=orjson.dumps(request.body), allow_redirects=False
            ) as response:
                data = await _read(response)
                return outcome_of(response.status, response.headers, data, retry_after_s(response.headers))
        except aiohttp.ClientConnectorError:
            raise Unreachable(f"No server answers at {self._base}.") from None
        except TimeoutError:
            raise DeadlineExceeded(f"There was no answer within {self._timeout_s:g} s.") from None
        except aiohttp.ClientError:
            raise UpstreamError(f"The server at {self._base} broke the connection off.") from None


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The body; of one that is too long a part."""
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_chunked(1 << 18):
        parts.append(part)
        if (size := size + len(part)) > MAX_ANSWER_BYTES:
            break
    return b"".join(parts)
