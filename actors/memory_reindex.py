"""Has the shards of this cluster make their vectors anew with the embedder that is configured."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from actors.gateway_embedder import GatewayEmbedder
from actors.memory_client import RayLink, layout
from zoran_ray.memory.embedder import HASHED, Embedder, HashedNgrams, chosen
from zoran_ray.memory.reindexing import reindex_shards
from zoran_ray.settings import MemorySettings


async def reindex_memory(
    settings: MemorySettings, progress: Callable[[str, str], None], *, again: bool
) -> dict[str, Any]:
    """Returns when all shards have their new vectors; they go on where this is cancelled.

    Args:
        settings: The embedder.
        progress: Told a stage, and how many of how many records are done.
        again: Also where the vectors are this embedder's already.

    Returns:
        The embedder, and the fields of `Reindexed`, as plain values.

    Raises:
        ZoranError: As `reindex_shards`.
    """
    embedder = embedder_for_shards(settings)
    done = await reindex_shards(
        (await layout()).shards,
        RayLink,
        embedder,
        lambda done, total: progress("reindex", f"{done}/{total}"),
        again=again,
    )
    return {"embedder": embedder.id, "dimension": embedder.dimension, **asdict(done)}


def embedder_for_shards(settings: MemorySettings) -> Embedder:
    """What makes vectors in a shard's own process: hashing there, a model by way of a gateway."""
    if settings.embedder == HASHED:
        return HashedNgrams(settings.dimension)
    return GatewayEmbedder(chosen(settings))
