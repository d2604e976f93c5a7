"""Started by `test_memory_reindex` in a process of its own, because a process has one Ray.

Writes records, comes back with a model as embedder, which a Serve deployment in the gateway's place stands
for, and has all vectors made anew. Prints as JSON what was refused before and what was found after.
"""

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import ray
from ray import serve

from actors.memory import MemoryDirector
from actors.memory_client import memory_client, shard_actor
from actors.memory_reindex import reindex_memory
from actors.names import MEMORY, NAMESPACE
from tests.integration.own_ray import last_line, own_ray
from zoran_ray.errors import EmbedderMismatch
from zoran_ray.memory.embedder import HashedNgrams
from zoran_ray.memory.record import Layer, Record
from zoran_ray.memory.rules import rules_of
from zoran_ray.memory.search import Query
from zoran_ray.settings import MemorySettings

RECORDS, DEADLINE_S = 150, 180.0
BEFORE = MemorySettings(shards=2, dimension=32)
AFTER = MemorySettings(shards=2, dimension=32, embedder="local/model")
OLD = HashedNgrams(32)


class Model:
    """Its vectors are those of the hashed n-grams, backwards: as many numbers, and yet others."""

    async def embed(self, texts: list[str], tenant: str) -> list[bytes]:
        return [row[::-1].astype("<f4").tobytes() for row in OLD.embed(texts)]


def record(number: int, vector: bytes) -> Record:
    return Record(
        id=f"r{number}",
        tenant=f"t{number % 2}",
        subject=f"s{number % 7}",
        text=text(number),
        purpose="knowledge",
        created=time.time(),
        layer=Layer.LONG,
        source="user:x",
        embedding=vector,
    )


def text(number: int) -> str:
    return f"fact {number} about the number {number * 7}"


def start(state_dir: Path, settings: MemorySettings) -> None:
    director = ray.remote(MemoryDirector).options(name=MEMORY, namespace=NAMESPACE, lifetime="detached")
    director.remote(state_dir, settings, rules_of(None))


async def end() -> None:
    for name in (MEMORY, *(shard_actor(f"shard-{number}") for number in range(2))):
        ray.kill(ray.get_actor(name, namespace=NAMESPACE))
    while ray.util.list_named_actors(all_namespaces=False):
        await asyncio.sleep(0.1)


async def drive(state_dir: Path) -> dict[str, Any]:
    start(state_dir, BEFORE)
    memory = memory_client()
    for number in range(RECORDS):
        await memory.put([record(number, OLD.embed([text(number)])[0].tobytes())])
    await end()
    start(state_dir, AFTER)
    memory, told = memory_client(), []
    try:
        await memory.put([record(RECORDS, OLD.embed(["x"])[0].tobytes())])
        refused = ""
    except EmbedderMismatch as mismatch:
        refused = mismatch.message
    readable = (await memory.get("t1", "r1")).text
    done = await reindex_memory(AFTER, lambda stage, detail: told.append(detail), again=False)
    (vector,) = await Model().embed([text(77)], "t1")
    found = await memory.search(Query("t1", embedding=vector, limit=1))
    again = await reindex_memory(AFTER, lambda stage, detail: None, again=False)
    return {
        "refused": refused,
        "readable": readable,
        "done": done,
        "told": told[-1],
        "found": found[0].record.id,
        "cosine": found[0].cosine,
        "again": again,
    }


def main() -> None:
    os.environ["RAY_SERVE_THROUGHPUT_OPTIMIZED"] = "1"  # as in a server: handles live in event loops
    with own_ray() as state_dir:
        try:
            serve.start(proxy_location="Disabled")
            model = serve.deployment(Model, name="gateway", ray_actor_options={"num_cpus": 0})
            serve.run(model.bind(), name="gateway", route_prefix=None)
            seen = asyncio.run(asyncio.wait_for(drive(state_dir), DEADLINE_S))
        finally:
            serve.shutdown()
    last_line(seen)


if __name__ == "__main__":
    main()
