"""A command in a running container: its input, its two outputs, its deadline. The one place that knows how
the Docker SDK holds its sockets.
"""

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

_FRAME = struct.Struct(">BxxxI")
_MOST_READ = 65_536
STDERR = 2
"""Number of the stream in Docker's frames; what is not this one is stdout."""


class OutOfTime(Exception):
    """The deadline passed while the command still ran."""


class Broken(Exception):
    """The container ended or the daemon broke the connection off."""


Sink = Callable[[int, bytes], None]


def execute(
    api: Any,
    container: str,
    argv: list[str],
    *,
    sink: Sink,
    deadline: float,
    user: str,
    workdir: str,
    stdin: bytes | None = None,
) -> int:
    """Runs a command in a container until it ends.

    It goes on when this raises: end the container then.

    Args:
        api: A `docker.APIClient`.
        container: Id of one that runs.
        argv: The command; no shell reads it.
        sink: Gets the number of a stream and its next bytes; what it raises passes through.
        deadline: When to give up, by `time.monotonic`.
        user: Who it is, `uid:gid`.
        workdir: Its folder.
        stdin: What it reads; None: nothing.

    Returns:
        Its exit status.

    Raises:
        OutOfTime, Broken: See there.
        docker.errors.APIError: The daemon refuses it.
    """
    from docker.errors import NotFound
    from requests.exceptions import RequestException

    try:
        made = api.exec_create(
            container, argv, stdin=stdin is not None, user=user, workdir=workdir, stdout=True, stderr=True
        )
        with _attached(api.exec_start(made["Id"], socket=True)) as (connection, reader):
            if stdin is not None:
                _send(connection, stdin, deadline)
            for stream, data in _frames(connection, reader, deadline):
                sink(stream, data)
        return _status(api, made["Id"], deadline)
    except TimeoutError:
        raise OutOfTime from None
    except (NotFound, RequestException, OSError, ValueError) as error:
        raise Broken(type(error).__name__) from None


@contextlib.contextmanager
def _attached(wrapped: Any) -> Iterator[tuple[Any, Any]]:
    """The connection itself and what reads from it.

    The reader of the HTTP head may hold the first bytes after it, so it must be read on through the same.
    """
    try:
        yield getattr(wrapped, "_sock", wrapped), wrapped._response.raw._fp.fp
    finally:
        let_go(wrapped)


def let_go(wrapped: Any) -> None:
    """Close a connection that the SDK gave, and all that holds it."""
    for closing in (
        wrapped._response.raw._fp.fp,
        wrapped,
        wrapped._response,
        getattr(wrapped, "_sock", wrapped),
    ):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            closing.close()


def _send(connection: Any, data: bytes, deadline: float) -> None:
    connection.settimeout(_left_s(deadline))
    connection.sendall(data)
    with contextlib.suppress(OSError):  # the command may have ended already; its status tells
        connection.shutdown(socket.SHUT_WR)


def _frames(connection: Any, reader: Any, deadline: float) -> Iterator[tuple[int, bytes]]:
    """Docker's multiplexed stream, in pieces. Source: Docker Engine API, ContainerAttach."""
    head = b""
    while True:
        while len(head) < _FRAME.size:
            piece = _read(connection, reader, _FRAME.size - len(head), deadline)
            if not piece:
                return
            head += piece
        stream, left = _FRAME.unpack(head)
        head = b""
        while left:
            piece = _read(connection, reader, min(left, _MOST_READ), deadline)
            if not piece:
                return
            left -= len(piece)
            yield stream, piece


def _read(connection: Any, reader: Any, most: int, deadline: float) -> bytes:
    connection.settimeout(_left_s(deadline))
    piece: bytes = reader.read1(most)
    return piece


def _left_s(deadline: float) -> float:
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s


def _status(api: Any, exec_id: str, deadline: float) -> int:
    """The exit status; Docker may close the stream a moment before it knows."""
    while True:
        state = api.exec_inspect(exec_id)
        if not state["Running"] and state["ExitCode"] is not None:
            return int(state["ExitCode"])
        if time.monotonic() > deadline:
            raise OutOfTime
        time.sleep(0.005)
