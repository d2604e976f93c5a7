"""One job in one container: start, files in, program, files out, end. It blocks."""

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from zoran_ray.errors import DeadlineExceeded, InvalidRequest, SandboxUnavailable, ZoranError
from zoran_ray.sandbox.archive import Unpacked, most_bytes, pack, unpack
from zoran_ray.sandbox.container import (
    RUN_AS,
    WORK,
    container_config,
    receive_command,
    send_command,
)
from zoran_ray.sandbox.daemon import Backend, connected, require_controls
from zoran_ray.sandbox.labels import Labels
from zoran_ray.sandbox.limits import Limits
from zoran_ray.sandbox.output import HeadAndTail
from zoran_ray.sandbox.stream import STDERR, Broken, OutOfTime, execute, let_go

_COPY_S = 30.0
"""Longest that starting, copying in, or copying out may take; each for itself."""
_MOST_ARGUMENT_BYTES = 64 * 1024

Ending = Literal["exited", "deadline", "flood", "cancelled", "lost"]


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What to run.

    Attributes:
        files: Contents by relative path, in the working folder.
        argv: The program and its arguments; no shell reads them.
        timeout_s: Longest that it may run, in seconds; the limits may say less.
        limits: What it may use.
    """

    files: Mapping[str, bytes] = field(repr=False)
    argv: tuple[str, ...]
    timeout_s: float
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class JobResult:
    """How it ended. Everything but `ending` is the job's own word.

    Attributes:
        ending: `exited`; or it was ended: at its deadline, for a flood of output, by its caller; or `lost`
            with its container, as after it used up the memory.
        exit_status: Of the program; 137 where it was killed, as for its memory; None unless it exited.
        stdout: Its start and end.
        stderr: Likewise.
        files_out: Regular files that it made or changed; empty unless it exited.
        left_out: What else it left in its folder, and why that is not in `files_out`.
        wall_s: How long the program ran, in seconds.
    """

    ending: Ending
    exit_status: int | None
    stdout: bytes = field(repr=False)
    stderr: bytes = field(repr=False)
    files_out: Mapping[str, bytes] = field(repr=False)
    left_out: tuple[str, ...]
    wall_s: float

    @property
    def timed_out(self) -> bool:
        """Whether it was ended because its time was over."""
        return self.ending == "deadline"


class Job:
    """One run of one program. Make it, `run` it once; `cancel` it from any thread.

    Args:
        backend: Where.
        request: What.
    """

    def __init__(self, backend: Backend, request: JobRequest) -> None:
        self.name = secrets.token_hex(8)
        self._backend = backend
        self._request = request
        self._cancelled = threading.Event()
        self._container: str | None = None
        self._stdout = HeadAndTail(request.limits.output_bytes)
        self._stderr = HeadAndTail(request.limits.output_bytes)

    def run(self) -> JobResult:
        """Runs it to its end and leaves no container behind.

        Raises:
            InvalidRequest: The files or the arguments are not what a sandbox takes.
            SandboxUnavailable: There is no daemon, no image, or no container to be had.
            DeadlineExceeded: The daemon is too slow to start it.
        """
        _check_arguments(self._request.argv)
        packed = pack(self._request.files, self._request.limits)
        try:
            with connected(self._backend.host) as client, _docker_errors():
                require_controls(client, self._backend.runtime)
                with self._started(client.api) as container:
                    return self._run_in(client.api, container, packed)
        except ZoranError:
            if self._cancelled.is_set():
                return self._result("cancelled", None, Unpacked(), 0.0)
            raise

    def _run_in(self, api: Any, container: str, packed: bytes) -> JobResult:
        self._copy_in(api, container, packed)
        ending, status, wall_s = self._execute(api, container)
        left = self._copy_out(api, container) if ending == "exited" else Unpacked()
        return self._result(ending, status, left, wall_s)

    def _result(self, ending: Ending, status: int | None, left: Unpacked, wall_s: float) -> JobResult:
        given = self._request.files
        changed = {name: data for name, data in left.files.items() if given.get(name) != data}
        return JobResult(
            ending, status, self._stdout.value(), self._stderr.value(), changed, left.left_out, wall_s
        )

    def cancel(self) -> None:
        """End it soon, at whatever step it is."""
        self._cancelled.set()
        if container := self._container:
            with contextlib.suppress(SandboxUnavailable), connected(self._backend.host) as client:
                end_container(client.api, container)

    @contextlib.contextmanager
    def _started(self, api: Any) -> Iterator[str]:
        """A running container, for as long as it is needed."""
        request, now = self._request, time.time()
        lease_s = self._timeout_s() + 3 * _COPY_S
        labels = Labels(self._backend.deployment, self.name, now, now + lease_s)
        config = container_config(api, self._backend, request.limits, labels, lease_s)
        container: str = api.create_container_from_config(config, f"zoran-sandbox-{self.name}")["Id"]
        self._container = container
        lease = None
        try:
            # The container lives only while this connection does: it ends if this process is killed.
            lease = api.attach_socket(container, params={"stdin": 1, "stream": 1})
            if self._cancelled.is_set():
                raise Broken("cancelled")
            api.start(container)
            yield container
        finally:
            end_container(api, container)
            if lease is not None:
                let_go(lease)

    def _copy_in(self, api: Any, container: str, packed: bytes) -> None:
        said = HeadAndTail(1000)
        try:
            status = self._command(
                api, container, receive_command(), _COPY_S, lambda _, data: said.feed(data), stdin=packed
            )
        except OutOfTime:
            raise DeadlineExceeded(
                "The sandbox took its files too slowly. Try again when there is less to do."
            ) from None
        if status:
            raise InvalidRequest(
                f"There is no room for the files ({_text(said)}). Give it fewer, or raise its limits."
            )

    def _execute(self, api: Any, container: str) -> tuple[Ending, int | None, float]:
        began = time.monotonic()
        status: int | None = None
        ending: Ending = "exited"
        try:
            status = self._command(api, container, list(self._request.argv), self._timeout_s(), self._take)
        except OutOfTime:
            ending = "deadline"
        except _Flood:
            ending = "flood"
        except Broken:
            ending = "lost"
        return ("cancelled" if self._cancelled.is_set() else ending), status, time.monotonic() - began

    def _copy_out(self, api: Any, container: str) -> Unpacked:
        limits = self._request.limits
        data, most = bytearray(), most_bytes(limits)

        def take(stream: int, piece: bytes) -> None:
            if stream != STDERR:
                data.extend(piece)
            if len(data) > most:
                raise _Flood

        try:
            status = self._command(api, container, send_command(), _COPY_S, take)
        except (OutOfTime, Broken):
            status = None
        except _Flood:
            return Unpacked({}, ("all files: they are too many or too large",))
        if status != 0:
            return Unpacked({}, ("all files: they could not be read",))
        return unpack(bytes(data), limits)

    def _command(
        self,
        api: Any,
        container: str,
        argv: list[str],
        timeout_s: float,
        sink: Callable[[int, bytes], None],
        stdin: bytes | None = None,
    ) -> int:
        return execute(
            api,
            container,
            argv,
            sink=sink,
            deadline=time.monotonic() + timeout_s,
            user=RUN_AS,
            workdir=WORK,
            stdin=stdin,
        )

    def _take(self, stream: int, data: bytes) -> None:
        (self._stderr if stream == STDERR else self._stdout).feed(data)
        if self._stdout.seen_bytes + self._stderr.seen_bytes > self._request.limits.flood_bytes:
            raise _Flood

    def _timeout_s(self) -> float:
        return min(self._request.timeout_s, self._request.limits.timeout_s)


def _text(said: HeadAndTail) -> str:
    return said.value().decode(errors="replace").strip()


class _Flood(Exception):
    """The job wrote more than anybody may want to read."""


def end_container(api: Any, container: str) -> None:
    """Kill and remove; no error where it is gone or going."""
    from docker.errors import APIError

    with contextlib.suppress(APIError):
        api.remove_container(container, force=True)


def _check_arguments(argv: Sequence[str]) -> None:
    if not argv or not argv[0] or any("\0" in part for part in argv):
        raise InvalidRequest(
            "There is no program to run in the sandbox: argv is empty, or has a NUL in it."
        )
    if sum(len(part.encode(errors="replace")) for part in argv) > _MOST_ARGUMENT_BYTES:
        raise InvalidRequest(
            f"The arguments have more than {_MOST_ARGUMENT_BYTES} bytes: put them into a file."
        )


@contextlib.contextmanager
def _docker_errors() -> Iterator[None]:
    """Ours instead of the SDK's."""
    from docker.errors import APIError, DockerException, ImageNotFound
    from requests.exceptions import RequestException

    try:
        yield
    except ImageNotFound:
        raise SandboxUnavailable(
            "Code cannot be run: the daemon has not got its image. Make it with `zoran sandbox build`."
        ) from None
    except APIError as error:
        raise SandboxUnavailable(f"Docker could not run the job: {error.explanation}") from None
    except (DockerException, RequestException, Broken, OSError) as error:
        raise SandboxUnavailable(
            f"The Docker daemon broke off ({type(error).__name__}). See whether it runs; try again."
        ) from None
