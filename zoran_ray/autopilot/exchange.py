"""One request over HTTP and its whole answer, bounded. Knows nobody that is asked.

One deadline for everything, a limit on the answer, no redirect, no retry, no cookies, no proxy. No word of
an answer comes into an error: it may repeat what was sent.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from ssl import SSLContext

import httpx

from zoran_ray.errors import DeadlineExceeded, Unreachable, UpstreamError


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far somebody is trusted.

    Attributes:
        peer: What messages call it, as in "The forge did not answer".
        deadline_s: Longest request, its answer included, in seconds.
        most_bytes: Longest answer.
        verify: Certificates that are trusted; False for plain HTTP, which has none.
    """

    peer: str
    deadline_s: float
    most_bytes: int
    verify: SSLContext | bool


@dataclass(frozen=True, slots=True)
class Exchanged:
    """An answer that was read to its end. Names of headers are in small letters."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def exchange(
    bounds: Bounds, verb: str, url: str, headers: Mapping[str, str], content: str | None = None
) -> Exchanged:
    """Sends one request. Blocks; not for a thread that runs an event loop.

    Raises:
        DeadlineExceeded, Unreachable, UpstreamError: No answer, or none within these bounds.
    """

    async def asked() -> Exchanged:
        client = httpx.AsyncClient(verify=bounds.verify, timeout=bounds.deadline_s, trust_env=False)
        sent = {**headers, "Accept-Encoding": "identity"}
        async with (
            asyncio.timeout(bounds.deadline_s),
            client,
            client.stream(verb, url, headers=sent, content=content) as response,
        ):
            return Exchanged(response.status_code, dict(response.headers), await _whole(response, bounds))

    try:
        return asyncio.run(asked())
    except (TimeoutError, httpx.TimeoutException):
        raise DeadlineExceeded(
            f"The {bounds.peer} did not answer within {bounds.deadline_s:g} s."
        ) from None
    except httpx.ConnectError:
        raise Unreachable(f"No connection to the {bounds.peer}.") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UpstreamError(f"The {bounds.peer} broke off ({type(error).__name__}).") from None


async def _whole(response: httpx.Response, bounds: Bounds) -> bytes:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise UpstreamError(f"The {bounds.peer}'s answer is packed in a way that was not asked for.")
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) > bounds.most_bytes:
            raise UpstreamError(f"The {bounds.peer}'s answer is longer than {bounds.most_bytes >> 20} MiB.")
    return bytes(body)
