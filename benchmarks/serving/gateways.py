"""Part 2: what a gateway costs by itself. Ours and LiteLLM's stand before the same no-op back end and are
asked turn about, as is the back end itself; whoever is not being asked is idle.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace

from benchmarks.serving.bench import Bench
from benchmarks.serving.contender import Endpoint, Running
from benchmarks.serving.stack import litellm, noop, zoran

PART = "noop"
BACKEND, ZORAN, LITELLM = "bare no-op", "zoran on no-op", "LiteLLM proxy"


@contextmanager
def gateways(bench: Bench, chosen: Sequence[str], round_: int) -> Iterator[dict[str, Endpoint]]:
    """The back end and the chosen gateways, running; by name."""
    with ExitStack() as running:
        backend = running.enter_context(noop(bench.work)).endpoint
        endpoints = {BACKEND: backend}
        starts: dict[str, Callable[[], AbstractContextManager[Running]]] = {
            "gateway": lambda: zoran(bench.work, ZORAN, backend=backend.base_url),
            "litellm": lambda: litellm(bench.work, backend.base_url),
        }
        for key, start in starts.items():
            if key in chosen:
                with bench.trying(key):
                    one = running.enter_context(start())
                    bench.note_start(one, round_)
                    endpoints[one.endpoint.name] = _with_backend(one.endpoint, backend)
        yield endpoints


def _with_backend(gateway: Endpoint, backend: Endpoint) -> Endpoint:
    """The same gateway, whose measurements state the back end's CPU time too."""
    return replace(gateway, groups=lambda: {**gateway.groups(), **backend.groups()})


def measure_gateways(bench: Bench, endpoints: dict[str, Endpoint], round_: int) -> None:
    """Requests and streams at every number of connections."""
    order = list(endpoints.values())
    for concurrency in bench.settings.connections:
        for stream in (False, True):
            for turn in range(bench.settings.turns):
                for endpoint in order if (turn + round_) % 2 == 0 else order[::-1]:
                    bench.measure(PART, endpoint, concurrency, stream=stream, at=(round_, turn))
    bench.save()
