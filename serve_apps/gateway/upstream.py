"""A request to one replica's private HTTP application: open it, read it, never more than once per try."""

import io
import socket
from collections.abc import AsyncIterator, Mapping

import aiohttp

from zoran_ray.engines.vllm.guard import DRAINING_HEADER, SECRET_HEADER
from zoran_ray.errors import UpstreamError
from zoran_ray.messages import ReplicaInfo

_CONNECT_S = 2.0
# A node whose cable is out says nothing: its silence is missed after idle + interval × count seconds, and
# what was sent and not taken after the last, in milliseconds.
_KEEPALIVE = {"TCP_KEEPIDLE": 4, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 10_000}
_MOST_BUFFERED_BYTES = 256 * 1024 * 1024
_LARGE_BODY_BYTES = 1024 * 1024
_DRAINING = DRAINING_HEADER.decode()
_SECRET = SECRET_HEADER.decode()


class ReplicaLost(Exception):
    """The replica could not be reached, broke off, or takes no more requests."""


class Upstream:
    """Connections to replicas, shared by all requests of one gateway."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    def start(self) -> None:
        """Open the pool; needs a running event loop."""
        # Limits live in the gateway's admission: a second queue in the pool would only hide load.
        pool = aiohttp.TCPConnector(limit=0, keepalive_timeout=60, socket_factory=_watched_socket)
        self._session = aiohttp.ClientSession(
            connector=pool,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
        )

    async def close(self) -> None:
        """Close every pooled connection."""
        if self._session:
            await self._session.close()

    async def open(
        self, replica: ReplicaInfo, path: str, body: bytes, headers: Mapping[str, str]
    ) -> "Reply":
        """Send the request and read up to the first byte of the answer's body.

        Raises:
            ReplicaLost: Nothing has been answered; another replica may be asked.
        """
        if self._session is None:
            raise RuntimeError("Upstream.start() was not called")
        sent = {_SECRET: replica.secret, "content-type": "application/json", "accept-encoding": "identity"}
        # `bytes` would hold up all other requests while they are written; a file goes in pieces.
        data = body if len(body) < _LARGE_BODY_BYTES else io.BytesIO(body)
        try:
            response = await self._session.post(
                replica.base_url + path,
                data=data,
                headers={**headers, **sent},
                # A redirect would take the body and the secret to whoever it names.
                allow_redirects=False,
            )
        except (aiohttp.ClientError, OSError, TimeoutError) as failure:
            raise ReplicaLost(replica.replica_id) from failure
        if response.status == 503 and _DRAINING in response.headers:
            response.release()
            raise ReplicaLost(replica.replica_id)
        reply = Reply(response)
        try:
            await reply.first()
        except BaseException:
            response.close()
            raise
        return reply


class Reply:
    """The answer of a replica, its first chunk already read."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._first = b""
        self.status = response.status
        self.content_type = response.headers.get("content-type", "application/json")
        self.streamed = self.content_type.startswith("text/event-stream")

    async def first(self) -> None:
        """Read the first chunk. Raises: ReplicaLost if the replica dies before it."""
        try:
            self._first = await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as failure:
            raise ReplicaLost from failure

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes.

        Raises:
            UpstreamError: The replica broke off.
        """
        chunk = self._first
        content = self._response.content
        try:
            while chunk:
                yield chunk
                chunk = await content.readany()
        except (aiohttp.ClientError, OSError) as failure:
            raise UpstreamError(
                "The replica that was answering was lost; please send the request again."
            ) from failure

    async def whole(self) -> bytes:
        """The whole body.

        Raises:
            ReplicaLost: The replica broke off; nothing has reached the client yet.
            UpstreamError: The body is larger than any sensible answer.
        """
        parts, size = [], 0
        try:
            async for chunk in self.chunks():
                parts.append(chunk)
                if (size := size + len(chunk)) > _MOST_BUFFERED_BYTES:
                    raise UpstreamError(f"The answer is larger than {_MOST_BUFFERED_BYTES} bytes.")
        except UpstreamError as failure:
            if isinstance(failure.__cause__, aiohttp.ClientError | OSError):
                raise ReplicaLost from failure
            raise
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Give back a connection that was read to its end, else cut it, which aborts generation."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


def _watched_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket whose connection ends when the other side's node is gone without a word."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        # Other systems name them otherwise; there a node is missed by the request's deadline.
        if (option := getattr(socket, name, None)) is not None:
            made.setsockopt(socket.IPPROTO_TCP, option, value)
    return made
