"""A fleet that is not there: models, replicas, their loads, and the one port that all replicas show.

Everything a registry sees of an engine, in the messages that real ones send. Knows no measurement.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from zoran_ray.messages import ModelInfo, ReplicaInfo, ReplicaLoad
from zoran_ray.models_file import ModelsFile, ModelSpec

REPLICAS_OF_A_MODEL = 10
"""In a fleet of several models; the other fleet measured is one model alone."""
CAPACITY = 64


def models_of(replicas: int, *, alone: bool) -> int:
    """How many models so many replicas serve."""
    return 1 if alone else max(1, replicas // REPLICAS_OF_A_MODEL)


def models_file(models: int) -> ModelsFile:
    """The operator's file with so many models."""
    return ModelsFile(models=tuple(ModelSpec(name=_name(number)) for number in range(models)))


def model_infos(models: int) -> dict[str, ModelInfo]:
    """What `zoran serve` tells the registry of them, by public name."""
    return {
        f"local/{_name(number)}": ModelInfo(
            name=f"local/{_name(number)}",
            aliases=(_name(number),),
            generation=f"{number:08x}",
            app=f"model-{number:08x}",
            source="/models/made-up",
            description="Nobody loads it.",
            created=1_700_000_000,
        )
        for number in range(models)
    }


def replica_infos(replicas: int, models: int, port: int = 1) -> list[ReplicaInfo]:
    """One heartbeat of each replica; ids, secrets and addresses as long as real ones.

    Args:
        port: Of `engines`, where there has to be something to connect to.
    """
    rng = random.Random(replicas)
    return [
        ReplicaInfo(
            replica_id=f"made-up-{number % models:04d}-{rng.getrandbits(64):016x}",
            model=f"local/{_name(number % models)}",
            generation=f"{number % models:08x}",
            base_url=f"http://127.0.0.1:{port}",
            secret=f"{rng.getrandbits(256):064x}",
            capacity=CAPACITY,
            max_model_len=32_768,
            tasks=("generate",),
            node_id=f"{rng.getrandbits(224):056x}",
            pids=(10_000 + 3 * number, 10_001 + 3 * number, 10_002 + 3 * number),
            load=load(rng),
        )
        for number in range(replicas)
    ]


def load(rng: random.Random) -> ReplicaLoad:
    """What an engine that has work says of itself."""
    running = rng.randrange(CAPACITY)
    return ReplicaLoad(running, rng.randrange(8), running / CAPACITY, rng.random())


class _Engine(asyncio.Protocol):
    """A connection that says nothing, as an engine's server between two requests."""

    def __init__(self, held: set[asyncio.BaseTransport]) -> None:
        self._held = held

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._held.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._held.discard(self._transport)


@asynccontextmanager
async def engines() -> AsyncIterator[int]:
    """The port that all replicas show; every connection to it is held open."""
    held: set[asyncio.BaseTransport] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Engine(held), "127.0.0.1", 0, backlog=4096)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for transport in tuple(held):
            transport.close()


def _name(number: int) -> str:
    return f"made-up-{number:04d}"


def conversations(seed: int) -> Iterator[int]:
    """Hashes of the beginnings of conversations that never end."""
    rng = random.Random(seed)
    while True:
        yield rng.getrandbits(64)
