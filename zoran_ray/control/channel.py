"""The client's end of the control channel."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from zoran_ray.control.address import connected
from zoran_ray.error_codes import error_kind
from zoran_ray.errors import DeadlineExceeded, PermissionDenied, Unreachable, UpstreamError, ZoranError

MAX_LINE_BYTES = 1024 * 1024


class Control:
    """Asks the server of one state directory to do something.

    Args:
        state_dir: The server's state directory.
        clock: Monotonic seconds.
    """

    def __init__(self, state_dir: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._state_dir = state_dir
        self._clock = clock

    def call(
        self,
        op: str,
        deadline_s: float,
        on_progress: Callable[[str, str], None] | None = None,
        **args: Any,
    ) -> dict[str, Any]:
        """Do `op` and return its result.

        Args:
            op: `status`, `models`, `load`, `unload` or `stop`.
            deadline_s: Longest wait for the result, in seconds.
            on_progress: Told stage and detail of every step.
            args: What the operation needs.

        Raises:
            Unreachable: No server listens here.
            DeadlineExceeded: No result in time; the operation may go on.
            ZoranError: What the server answered, as the class of its code.
        """
        ends = self._clock() + deadline_s
        with self._connect(deadline_s) as connection:
            try:
                with suppress(BrokenPipeError):  # a refusal may have come before the request was sent
                    connection.sendall(json.dumps({**args, "op": op}).encode() + b"\n")
                for line in self._lines(connection, ends):
                    answer = _parsed(line)
                    if answer.get("event") != "progress":
                        return _result(answer)
                    if on_progress is not None:
                        on_progress(str(answer.get("stage", "")), str(answer.get("detail", "")))
            except TimeoutError:
                raise DeadlineExceeded(
                    f"The server did not finish '{op}' within {deadline_s:g} s; look at `zoran status`."
                ) from None
            except OSError:
                pass
        raise Unreachable(
            f"The server went away during '{op}'; look at its log, then start it with `zoran serve`."
        )

    def _connect(self, deadline_s: float) -> socket.socket:
        try:
            return connected(self._state_dir, deadline_s)
        except PermissionError:
            raise PermissionDenied(
                f"The server of {self._state_dir} belongs to another user; ask as that user."
            ) from None
        except OSError:
            raise Unreachable(
                f"No server runs with the state directory {self._state_dir}. Start one with `zoran serve`, "
                "or name its --state-dir."
            ) from None

    def _lines(self, connection: socket.socket, ends: float) -> Iterator[bytes]:
        """Complete lines until the server closes, each read within what is left of the time."""
        buffer = b""
        while len(buffer) <= MAX_LINE_BYTES:
            line, newline, rest = buffer.partition(b"\n")
            if newline:
                yield line
                buffer = rest
                continue
            connection.settimeout(max(ends - self._clock(), 0.001))
            chunk = connection.recv(65536)
            if not chunk:
                return
            buffer += chunk
        raise UpstreamError("The server's answer is too long; is it of the same version?")


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(line)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise UpstreamError("The server's answer is not of this protocol; is it of the same version?")
    return answer


def _result(answer: dict[str, Any]) -> dict[str, Any]:
    if answer.get("ok") is True:
        return dict(answer.get("result") or {})
    error = dict(answer.get("error") or {})
    kind = error_kind(str(error.get("code"))) or ZoranError
    raise kind(str(error.get("message", "The server gave no reason.")), param=error.get("param"))
