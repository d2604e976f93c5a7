"""Makes the vectors of shards anew while no server has them. Knows their folders, no server."""

from collections.abc import Callable
from pathlib import Path

from zoran_ray.memory.embedder import Embedder, EmbedderId
from zoran_ray.memory.generations import latest
from zoran_ray.memory.placement import FOLDER
from zoran_ray.memory.reindex import Reindexed
from zoran_ray.memory.rules import MemoryRules
from zoran_ray.memory.shard import MemoryShard
from zoran_ray.memory.store import Durability


def shard_folders(state_dir: Path) -> list[Path]:
    """Folders of the shards on this machine, by name."""
    memory = state_dir / FOLDER
    found = sorted(path for path in memory.iterdir() if path.is_dir()) if memory.is_dir() else []
    return [path for path in found if latest(path) is not None]


def reindex_folders(
    state_dir: Path,
    embedder: Embedder,
    rules: MemoryRules,
    progress: Callable[[str, int, int], None],
    *,
    again: bool = False,
) -> Reindexed:
    """Makes the vectors of every shard anew, one shard after the other, each at once or not at all.

    Args:
        state_dir: Whose shards.
        embedder: Makes the vectors.
        rules: The memory's rules.
        progress: Told a shard's name, and how many of how many records are done.
        again: Also where the vectors are this embedder's already.

    Raises:
        AlreadyRunning: A server has a shard.
        StateDamaged, StorageFull, Unavailable: One shard stays as it was; those before it are done.
    """
    shards = skipped = records = 0
    for folder in shard_folders(state_dir):
        shard = MemoryShard(folder, None, rules, durability=Durability(noting=True))
        try:
            if shard.embedder == EmbedderId.of(embedder) and not again:
                skipped += 1
                continue
            count = shard.stats().records
            shard.reindex(embedder, _named(progress, folder.name))
            shards, records = shards + 1, records + count
        finally:
            shard.close()
    return Reindexed(shards, skipped, records)


def _named(progress: Callable[[str, int, int], None], name: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(name, done, total)
