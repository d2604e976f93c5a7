"""One GET of one URL, from the very addresses that were checked. Knows no redirects, cookies or proxies.

The connection goes to the address; the host's name stands in the `Host` header and is what the certificate
has to be for. A name that changes its address between the check and the connection changes nothing.
"""

import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx

from zoran_ray.errors import UpstreamError
from zoran_ray.tools.addresses import Address, Guard, host_of

MOST_TRIED = 3
"""Addresses of one host that are tried, one after the other."""
CONNECT_S = 5.0


def network(verify: ssl.SSLContext | bool = True) -> httpx.AsyncBaseTransport:
    """The network. No connection is used twice: two names may share an address, not a connection."""
    limits = httpx.Limits(max_connections=32, max_keepalive_connections=0)
    return httpx.AsyncHTTPTransport(verify=verify, trust_env=False, limits=limits)


@asynccontextmanager
async def got(
    transport: httpx.AsyncBaseTransport,
    guard: Guard,
    url: httpx.URL,
    headers: dict[str, str],
    deadline: float,
) -> AsyncIterator[httpx.Response]:
    """The response to a GET, its body still to be read.

    Args:
        transport: Carries it.
        guard: Says where the URL leads.
        url: From `checked_url`.
        headers: Sent with it.
        deadline: When it must be over, in seconds of `time.monotonic`.

    Raises:
        PermissionDenied: The guard refuses.
        UpstreamError: Nobody answers there.
    """
    addresses = await guard.addresses(url)
    try:
        response = await _opened(transport, addresses, url, headers, deadline)
        try:
            yield response
        finally:
            await response.aclose()
    except httpx.TransportError as error:
        raise UpstreamError(f"The site did not answer ({type(error).__name__}).") from None


async def _opened(
    transport: httpx.AsyncBaseTransport,
    addresses: Sequence[Address],
    url: httpx.URL,
    headers: dict[str, str],
    deadline: float,
) -> httpx.Response:
    tried = addresses[:MOST_TRIED]
    for number, address in enumerate(tried, start=1):
        request = _request(address, url, headers, deadline - time.monotonic())
        try:
            return await transport.handle_async_request(request)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            if number == len(tried):
                raise
    raise AssertionError("a guard gives at least one address")


def _request(address: Address, url: httpx.URL, headers: dict[str, str], left_s: float) -> httpx.Request:
    left_s = max(left_s, 0.001)
    timeout = httpx.Timeout(left_s, connect=min(left_s, CONNECT_S))
    return httpx.Request(
        "GET",
        url.copy_with(host=str(address)),
        headers={"host": url.netloc.decode("ascii"), **headers},
        extensions={"timeout": timeout.as_dict(), "sni_hostname": host_of(url).rstrip(".")},
    )
