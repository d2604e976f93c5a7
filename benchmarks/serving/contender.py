"""What a contender is once it runs: addresses, processes, how long its start took."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.serving.children import Child
from benchmarks.serving.first_token import wait_for_first_token
from benchmarks.serving.processes import Groups, title

START_DEADLINE_S = 420.0
_CALM_S = 3.0
_CALM_DEADLINE_S = 20.0


@dataclass(frozen=True, slots=True)
class Workplace:
    """Folders and the model every engine serves."""

    folder: Path
    peers: Path
    model: Path


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to send requests and whose CPU time they cost.

    Attributes:
        groups: The process ids now, by what they are: `engine`, `gateway`, `haproxy`, `backend`, `rest`.
            Asked again for every measurement: Ray replaces its HAProxy with every new configuration.
    """

    name: str
    base_url: str
    model: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    groups: Callable[[], Groups] = dict

    @property
    def chat(self) -> str:
        return f"{self.base_url}/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Running:
    """A contender that has answered.

    Attributes:
        first_token_s: From starting its process to the first token, in seconds.
        direct: The engine's own server behind it, where it can be reached.
    """

    child: Child
    endpoint: Endpoint
    first_token_s: float
    direct: Endpoint | None = None


@contextmanager
def started(child: Child, endpoint: Endpoint) -> Iterator[Running]:
    """The contender once it has produced a token; ends its whole tree on the way out."""
    try:
        url, headers = endpoint.chat, endpoint.headers
        first_token_s = wait_for_first_token(child, url, endpoint.model, headers, START_DEADLINE_S)
        _wait_for_calm(child)
        yield Running(child, replace(endpoint, groups=lambda: grouped(child)), first_token_s)
    finally:
        child.stop()


def _wait_for_calm(child: Child) -> None:
    """Until no process has come or gone for a while: the first token comes before Ray has settled."""
    until = time.monotonic() + _CALM_DEADLINE_S
    before = {process.pid for process in child.processes()}
    while time.monotonic() < until:
        time.sleep(_CALM_S)
        now = {process.pid for process in child.processes()}
        if now == before:
            return
        before = now


def grouped(child: Child, engine: frozenset[int] = frozenset()) -> dict[str, tuple[int, ...]]:
    """The processes of a tree by what they do, told by how Ray and vLLM title them."""
    groups: dict[str, list[int]] = {}
    for process in child.processes():
        name = title(process)
        if process.pid in engine or name.startswith("VLLM::"):
            label = "engine"
        elif "haproxy" in name.split(" ")[0]:
            label = "haproxy"
        elif name.startswith(("ray::ServeReplica", "ray::ProxyActor")):
            label = "gateway"
        else:
            label = "rest"
        groups.setdefault(label, []).append(process.pid)
    return {label: tuple(pids) for label, pids in groups.items()}
