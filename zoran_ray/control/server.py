"""The server's end of the control channel. Knows the protocol, not what the operations do."""

import asyncio
import fcntl
import json
import logging
import os
import socket
import struct
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from zoran_ray.control.address import SOCKET, short_path
from zoran_ray.errors import (
    AlreadyRunning,
    ConfigError,
    DeadlineExceeded,
    InvalidRequest,
    Overloaded,
    PermissionDenied,
    ZoranError,
)

Progress = Callable[[str, str], None]
"""Told stage and detail; never waits."""
Handler = Callable[[Mapping[str, Any], Progress], Awaitable[dict[str, Any]]]

MAX_LINE_BYTES = 64 * 1024
MAX_CONNECTIONS = 16
REQUEST_TIMEOUT_S = 10.0
"""Time a client has to send its line, and to read its answer."""

_log = logging.getLogger(__name__)


class ControlServer:
    """Listens on the control socket of one state directory; holds the directory while it runs.

    Args:
        state_dir: Made if it is not there, for the owner alone.
        handlers: Operation name to what does it.
        owner_uid: The only user who is listened to; by default the one who runs this process.
    """

    def __init__(
        self, state_dir: Path, handlers: Mapping[str, Handler], owner_uid: int | None = None
    ) -> None:
        self._state_dir = state_dir
        self._handlers = handlers
        self._owner_uid = os.getuid() if owner_uid is None else owner_uid
        self._lock: BinaryIO | None = None
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Take the state directory and listen.

        Raises:
            AlreadyRunning: Another server has this state directory.
            ConfigError: The directory cannot be made or written.
        """
        try:
            self._state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _locked(self._state_dir)
            # Whoever holds the lock is alone here, so a socket that is left is nobody's.
            (self._state_dir / SOCKET).unlink(missing_ok=True)
            listener = _listener(self._state_dir)
        except OSError as error:
            await self.close()
            raise ConfigError(
                f"{self._state_dir}: cannot be used as state directory: {error.strerror}. "
                "Choose another with --state-dir.",
                param="state_dir",
            ) from None
        self._server = await asyncio.start_unix_server(self._accept, sock=listener, limit=MAX_LINE_BYTES)

    async def close(self, grace_s: float = 2.0) -> None:
        """Stop listening, give running operations `grace_s` seconds to answer, and let the directory go."""
        if self._server is not None:
            self._server.close()
            (self._state_dir / SOCKET).unlink(missing_ok=True)
            self._server = None
        if self._talks:
            _, late = await asyncio.wait(self._talks, timeout=grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._talk(reader, writer))
        self._talks.add(task)
        task.add_done_callback(self._talks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: read the request, do it, answer."""
        try:
            answer = await self._answer(reader, writer)
            _send(writer, answer)
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                await writer.drain()
        except (ConnectionError, TimeoutError):
            pass  # the client has gone; what it asked for is done
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> dict[str, Any]:
        try:
            request = await _request(reader)
            self._admit(writer)
            handler = self._handler(request)
            result = await handler(request, _progress(writer))
        except ZoranError as error:
            return {
                "ok": False,
                "error": {"code": error.code, "message": error.message, "param": error.param},
            }
        except ConnectionError:
            raise
        except Exception:
            _log.exception("a control operation failed")
            return {"ok": False, "error": {"code": ZoranError.code, "message": _INTERNAL, "param": None}}
        return {"ok": True, "result": result}

    def _admit(self, writer: asyncio.StreamWriter) -> None:
        """Refuse strangers, and more clients at once than anyone needs."""
        uid = _peer_uid(writer.get_extra_info("socket"))
        if uid is not None and uid != self._owner_uid:
            raise PermissionDenied("This server belongs to another user; ask as that user.")
        if len(self._talks) > MAX_CONNECTIONS:
            raise Overloaded("Too many control requests at once; try again.", retry_after_s=1)

    def _handler(self, request: Mapping[str, Any]) -> Handler:
        handler = self._handlers.get(str(request.get("op")))
        if handler is None:
            known = ", ".join(sorted(self._handlers))
            raise InvalidRequest(f"Unknown operation {request.get('op')!r}; known are {known}.", param="op")
        return handler


_INTERNAL = "The server failed at this; its log says why."


async def _request(reader: asyncio.StreamReader) -> dict[str, Any]:
    """The one line of a request."""
    try:
        async with asyncio.timeout(REQUEST_TIMEOUT_S):
            line = await reader.readline()
        request = json.loads(line)
    except TimeoutError:
        raise DeadlineExceeded("The request did not arrive in time.") from None
    except (ValueError, RecursionError):  # readline's limit is a ValueError too
        request = None
    if not isinstance(request, dict):
        raise InvalidRequest(
            f"The request must be one JSON object on one line of at most {MAX_LINE_BYTES} bytes."
        )
    return request


def _progress(writer: asyncio.StreamWriter) -> Progress:
    def tell(stage: str, detail: str) -> None:
        # A client that does not read misses steps rather than filling our memory.
        if not writer.is_closing() and writer.transport.get_write_buffer_size() < MAX_LINE_BYTES:
            _send(writer, {"event": "progress", "stage": stage, "detail": detail})

    return tell


def _send(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    writer.write(json.dumps(message).encode() + b"\n")


def _locked(state_dir: Path) -> BinaryIO:
    """A lock on the state directory that ends with this process, however it ends."""
    lock = (state_dir / "control.lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise AlreadyRunning(
            f"Another server runs with the state directory {state_dir}. Stop it with `zoran stop`, "
            "or choose another --state-dir.",
            param="state_dir",
        ) from None
    return lock


def _listener(state_dir: Path) -> socket.socket:
    """A socket bound in the state directory that only its owner can open."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_path(state_dir) as path:
            listener.bind(path)
        (state_dir / SOCKET).chmod(0o600)
    except BaseException:
        listener.close()
        raise
    return listener


def _peer_uid(connection: Any) -> int | None:
    """User at the other end; None where the system does not tell and permissions alone must do."""
    if sys.platform != "linux":
        return None
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])
