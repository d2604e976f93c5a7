"""The pooled connections to one provider: each request opened once, the key added on the way out.

Knows HTTP, but no provider's dialect: adapters give a path and a body and get a `Reply`. Nothing is sent
twice and no redirect is followed; retries belong to whoever asks.

Use, from an adapter:
    reply = await connection.open("/messages", body, request_id=…, deadline=…, streamed=True)
    try: … await reply.event() … or await reply.whole() …
    finally: await reply.close()
"""

import asyncio
import logging
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx
import orjson

from zoran_ray.api_key import ApiKey
from zoran_ray.engines.providers.refusals import Refusals
from zoran_ray.engines.providers.reply import Reply, Wait
from zoran_ray.errors import ConfigError, InvalidRequest, ProviderRefused, ZoranError

_HOST = re.compile(r"[\w.:-]+(%\w+)?")

log = logging.getLogger("zoran.engines")


@dataclass(frozen=True, slots=True)
class KeyHeader:
    """How a provider wants its key.

    Attributes:
        name: Of the header.
        prefix: Before the key in its value.
    """

    name: str
    prefix: str = ""


BEARER = KeyHeader("authorization", "Bearer ")


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """How many connections there may be, and how long one may take to open.

    Attributes:
        connections: Open at once, above what the gates of a provider's arms let through. A request that
            gets none in `connect_timeout_s` is refused as busy.
        idle: Kept open without a request.
        idle_s: For how long, in seconds.
        connect_timeout_s: For TCP and TLS, in seconds.
    """

    connections: int = 4096
    idle: int = 64
    idle_s: float = 30.0
    connect_timeout_s: float = 5.0


DEFAULT_LIMITS = PoolLimits()


class Connection:
    """One provider's pool, opened with the first request and shared by all its models.

    Args:
        provider: What messages and logs call it.
        base_url: What paths are put behind, version included: `https://api.example.com/v1`.
        key: None for a provider that needs none.
        key_header: Where the key goes.
        headers: Sent with every request; nothing secret.
        request_id_header: Where our request id goes.
        limits: Of the pool.
        proxy: Address of an HTTP proxy. The environment's proxies are never used.
        clock: Monotonic seconds, those of the deadlines.
        now: Unix time in seconds.

    Raises:
        ConfigError: `base_url` or `proxy` is no plain HTTP address.
    """

    def __init__(
        self,
        provider: str,
        base_url: str,
        *,
        key: ApiKey | None = None,
        key_header: KeyHeader = BEARER,
        headers: Mapping[str, str] | None = None,
        request_id_header: str = "x-request-id",
        limits: PoolLimits = DEFAULT_LIMITS,
        proxy: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.provider = provider
        self.refusals = Refusals(provider, key, now)
        self._base_url = _address(base_url, "base_url")
        self._key = key
        self._key_header = key_header
        self._headers = {**(headers or {}), "content-type": "application/json"}
        self._request_id_header = request_id_header
        self._limits = limits
        self._proxy = _address(proxy, "proxy") if proxy else None
        self._clock = clock
        self._pool: httpx.AsyncClient | None = None
        self._closing: set[asyncio.Future[None]] = set()

    async def open(
        self,
        path: str,
        body: Mapping[str, Any] | None,
        *,
        request_id: str,
        deadline: float,
        streamed: bool,
        stall_s: float = math.inf,
    ) -> Reply:
        """Send one request and wait for the head and the first byte of a good answer.

        Args:
            path: Behind the base URL, with its leading slash.
            body: Sent as JSON with POST; None for a GET.
            deadline: When the whole request must be over, in seconds of `clock`.
            streamed: Whether events are to come; else JSON.
            stall_s: Longest wait for the next bytes, in seconds.

        Raises:
            InvalidRequest: 400, 413 or 422, or 404 for a parameter; with the provider's message.
            ProviderBusy: 408, 409, 429, 503 or 529, or no connection is free.
            ProviderRefused: 401, 402, 403, an unknown model, and whatever else our side has to mend.
            UpstreamError: Other 5xx, a lost connection, or not what was asked for.
            DeadlineExceeded: No first byte before the deadline.
        """
        wait = Wait(self.provider, deadline, self._clock, stall_s)
        pool = self._opened()
        request = pool.build_request(
            "GET" if body is None else "POST",
            self._base_url + path,
            content=None if body is None else _encoded(body),
            headers={**self._headers, self._request_id_header: request_id},
        )
        response = await wait.until_done(lambda: pool.send(request, stream=True))
        reply = Reply(response, self.refusals, wait, self._closing)
        try:
            if refused := await reply.refusal(streamed):
                self._log(refused, response.status_code)
                raise refused
            await reply.begin()
        except BaseException:
            await reply.close()
            raise
        return reply

    async def close(self) -> None:
        """Close every connection, those in use too. Another request would open new ones."""
        pool, self._pool = self._pool, None
        await asyncio.gather(*self._closing, return_exceptions=True)
        if pool is not None:
            await pool.aclose()

    def _opened(self) -> httpx.AsyncClient:
        if self._pool is None:
            _hush()
            self._pool = httpx.AsyncClient(
                transport=self._transport(),
                trust_env=False,
                # The deadline limits everything else.
                timeout=httpx.Timeout(
                    None, connect=self._limits.connect_timeout_s, pool=self._limits.connect_timeout_s
                ),
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                headers={"user-agent": "zoran_ray", "accept-encoding": "identity"},
            )
        return self._pool

    def _transport(self) -> httpx.AsyncBaseTransport:
        limits = httpx.Limits(
            max_connections=self._limits.connections,
            max_keepalive_connections=self._limits.idle,
            keepalive_expiry=self._limits.idle_s,
        )
        return _KeyedTransport(
            self._key,
            self._key_header,
            # Plain HTTP has no use for the certificates, which take 20 ms to load.
            verify=self._base_url.startswith("https:"),
            trust_env=False,
            http2=False,
            limits=limits,
            proxy=self._proxy,
        )

    def _log(self, refused: ZoranError, status: int) -> None:
        """Tell the operator what only they can mend; the error itself goes to the caller."""
        if isinstance(refused, ProviderRefused):
            origin = self._key.origin if self._key else None
            log.warning(
                "%s refuses our requests", self.provider, extra={"status": status, "key_origin": origin}
            )


class _KeyedTransport(httpx.AsyncHTTPTransport):
    """Adds the key on the way out: the request that errors refer to and logs see does not have it."""

    def __init__(self, key: ApiKey | None, header: KeyHeader, **options: Any) -> None:
        super().__init__(**options)
        self._key = key
        self._header = header

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._key is not None:
            keyed = (self._header.name.encode("ascii"), self._key.header(self._header.prefix))
            request = httpx.Request(
                request.method,
                request.url,
                headers=[*request.headers.raw, keyed],
                stream=request.stream,
                extensions=request.extensions,
            )
        return await super().handle_async_request(request)


def _hush() -> None:
    """Keep what httpx writes of every request out of the logs, whatever their level.

    httpcore's DEBUG lines hold response headers: cookies, and whatever a server repeats of the request.
    Neither has a switch for one client, so this is done when the first pool is opened, not on import.
    """
    for name in ("httpcore", "httpx"):
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.WARNING))


def _encoded(body: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        # Without its cause, which may show the body.
        raise InvalidRequest("The request is nested too deep.") from None


def _address(text: str, field: str) -> str:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL("")
    plain = url.scheme in ("http", "https") and _HOST.fullmatch(url.host) is not None
    if not plain or url.userinfo or url.query or url.fragment:
        # Not quoted: it may hold a password.
        raise ConfigError(
            f"{field} must be a plain address like https://api.example.com/v1, "
            "without user, password, query or fragment.",
            param=field,
        )
    return str(url).rstrip("/")
