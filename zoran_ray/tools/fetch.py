"""Fetches pages of the web and gives their readable text. It asks public addresses only, and politely.

Every redirect is checked as the first URL was: where it leads, and what the site's robots.txt says. No
cookies, no proxies, no credentials. What comes back is a stranger's text: data, never an instruction.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import quote

import httpx

from zoran_ray.errors import DeadlineExceeded, InvalidRequest, PermissionDenied, UpstreamError
from zoran_ray.tools.addresses import Guard, checked_url
from zoran_ray.tools.body import ACCEPTED_ENCODING, is_markup, kind_of, read_body, text_of
from zoran_ray.tools.picture import MOST_BYTES as MOST_PICTURE_BYTES
from zoran_ray.tools.picture import Picture, kind_of_picture
from zoran_ray.tools.pinned import got, network
from zoran_ray.tools.readable import readable
from zoran_ray.tools.robots import MOST_BYTES, NOTHING_ALLOWED, Robots, read_robots

PRODUCT = "zoran_ray"
"""What a robots.txt calls us."""
USER_AGENT = f"{PRODUCT}/0.1 (fetches one page for one question)"
MOST_REDIRECTS = 5
MOST_SITES = 256
"""Sites whose robots.txt is remembered."""
ROBOTS_TTL_S = 3600.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_URL_CHARS = "".join(map(chr, range(0x21, 0x7F)))

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page:
    """What a URL led to.

    Attributes:
        url: Where the text is from, after redirects.
        title: What the page calls itself; empty where it does not.
        text: What it says.
        truncated: Whether there is more than was read.
    """

    url: str = field(repr=False)
    title: str = field(repr=False)
    text: str = field(repr=False)
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Bounds of one fetch.

    Attributes:
        body_bytes: Most that is read of a body, unpacked.
        wall_s: Longest a fetch takes with all its redirects, in seconds.
    """

    body_bytes: int = 2 * 1024 * 1024
    wall_s: float = 20.0


class Fetcher:
    """Fetches pages. Safe to share between tasks; close it.

    Args:
        guard: Says which addresses may be asked.
        limits: Bounds of one fetch.
        transport: Carries requests to an address; None for the network.
        user_agent: How it names itself.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        guard: Guard | None = None,
        limits: FetchLimits | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        user_agent: str = USER_AGENT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._guard = guard or Guard()
        self._limits = limits or FetchLimits()
        self._transport = transport
        self._clock = clock
        self._headers = {
            "user-agent": user_agent,
            "accept": "text/html, text/plain, application/json;q=0.9, text/*;q=0.8",
            "accept-encoding": ACCEPTED_ENCODING,
            "connection": "close",
        }
        self._robots: OrderedDict[str, tuple[float, Robots]] = OrderedDict()

    async def close(self) -> None:
        """Closes what is open."""
        if self._transport is not None:
            await self._transport.aclose()

    async def fetch(self, url: str) -> Page:
        """The readable text behind a URL.

        Raises:
            InvalidRequest: It is no URL that may be fetched, or leads to no text.
            PermissionDenied: It leads to an address that may not be asked, or robots.txt says no.
            UpstreamError: The site does not answer, or its answer cannot be read.
            DeadlineExceeded: It took too long.
        """
        return await self._followed(url, self._read)

    async def picture(self, url: str) -> Picture:
        """The picture behind a URL.

        Raises:
            InvalidRequest: It leads to no picture that a model takes, or to one that is too large.
            ZoranError: As `fetch`.
        """
        return await self._followed(url, _picture)

    async def _followed(self, url: str, read: Callable[[httpx.Response, httpx.URL], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self._limits.wall_s):
                return await self._led(checked_url(url), read, time.monotonic() + self._limits.wall_s)
        except TimeoutError:
            raise DeadlineExceeded(
                f"The page was not there within {self._limits.wall_s:g} s; it was given up."
            ) from None

    async def _led(
        self,
        url: httpx.URL,
        read: Callable[[httpx.Response, httpx.URL], Awaitable[T]],
        deadline: float,
    ) -> T:
        for _ in range(MOST_REDIRECTS + 1):
            await self._check_robots(url, deadline)
            async with got(self._carrier, self._guard, url, self._headers, deadline) as response:
                target = _redirect(response, url)
                if target is None:
                    return await read(response, url)
            url = target
        raise UpstreamError(f"The URL leads on more than {MOST_REDIRECTS} times.")

    async def _read(self, response: httpx.Response, url: httpx.URL) -> Page:
        if response.status_code != 200:
            raise _no_page(response.status_code)
        kind = kind_of(response)
        data, truncated = await read_body(response, self._limits.body_bytes)
        text = text_of(data, str(response.headers.get("content-type", "")))
        if not is_markup(kind):
            return Page(str(url), "", text, truncated)
        # In a thread: two megabytes of markup take a part of a second.
        found = await asyncio.to_thread(readable, text)
        return Page(str(url), found.title, found.text, truncated)

    async def _check_robots(self, url: httpx.URL, deadline: float) -> None:
        robots = await self._robots_of(url, deadline)
        if not robots.allows(url.raw_path.decode("ascii", "replace")):
            raise PermissionDenied(
                "The site's robots.txt does not allow this page to be fetched.", param="url"
            )

    async def _robots_of(self, url: httpx.URL, deadline: float) -> Robots:
        origin = f"{url.scheme}://{url.netloc.decode('ascii')}"
        known = self._robots.get(origin)
        if known is not None and known[0] > self._clock():
            self._robots.move_to_end(origin)
            return known[1]
        robots = await self._fetch_robots(checked_url(f"{origin}/robots.txt"), deadline)
        if robots is not NOTHING_ALLOWED:  # a site in trouble is asked again
            self._robots[origin] = (self._clock() + ROBOTS_TTL_S, robots)
            if len(self._robots) > MOST_SITES:
                self._robots.popitem(last=False)
        return robots

    async def _fetch_robots(self, url: httpx.URL, deadline: float) -> Robots:
        """RFC 9309, 2.3.1: none means all is allowed, a site in trouble that nothing is."""
        for _ in range(MOST_REDIRECTS + 1):
            async with got(self._carrier, self._guard, url, self._headers, deadline) as response:
                target = _redirect(response, url)
                if target is None and response.status_code == 200:
                    data, _ = await read_body(response, MOST_BYTES)
                    return read_robots(data.decode("utf-8", "replace"), PRODUCT)
                if target is None:
                    return NOTHING_ALLOWED if response.status_code >= 500 else Robots()
            url = target
        return Robots()

    @property
    def _carrier(self) -> httpx.AsyncBaseTransport:
        if self._transport is None:
            self._transport = network()
        return self._transport


def _redirect(response: httpx.Response, url: httpx.URL) -> httpx.URL | None:
    """Where a response leads on; None where it does not. Raises: As `checked_url`."""
    if response.status_code not in _REDIRECTS or "location" not in response.headers:
        return None
    # As bytes: sites put anything there, and what is not ASCII is escaped, not guessed at.
    raw = next(value for name, value in response.headers.raw if name.lower() == b"location")
    location = quote(raw, safe=_URL_CHARS)
    if "\\" in location:
        raise UpstreamError("The site leads on to a URL that cannot be read.")
    try:
        return checked_url(str(url.join(location)).partition("#")[0])
    except (httpx.InvalidURL, ValueError):
        raise UpstreamError("The site leads on to a URL that cannot be read.") from None


async def _picture(response: httpx.Response, url: httpx.URL) -> Picture:
    if response.status_code != 200:
        raise _no_page(response.status_code)
    data, truncated = await read_body(response, MOST_PICTURE_BYTES)
    if truncated:
        raise InvalidRequest(f"A picture may have {MOST_PICTURE_BYTES} bytes, not more.", param="url")
    return Picture(kind_of_picture(data, "url"), data)


def _no_page(status: int) -> InvalidRequest | UpstreamError:
    message = f"The site answered {status}; there is no page to read."
    return (
        UpstreamError(message) if status >= 500 or status == 429 else InvalidRequest(message, param="url")
    )
