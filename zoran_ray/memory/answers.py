"""What a shard says of a write and of itself. Knows no index, so that whoever asks needs none."""

from dataclasses import dataclass

from zoran_ray.memory.record import Layer

MOST_IDS = 10_000
"""Most ids that one call names."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a record.

    Attributes:
        id: Under which id it is kept: another than its own where it was merged.
        layer: Where it is.
        merged: Whether it became part of a record that was there.
    """

    id: str
    layer: Layer
    merged: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """What a write came to.

    Attributes:
        stored: What became of each record, in their order.
        batch: The write as it is in the log, for `MemoryShard.replicate` elsewhere; empty where nothing
            changed.
    """

    stored: tuple[Stored, ...]
    batch: bytes


@dataclass(frozen=True, slots=True)
class Stats:
    """How a shard is.

    Attributes:
        records: Records there are.
        tenants: Tenants that have any.
        consents: Consents, withdrawn ones too.
        memory_bytes: Bytes of memory, about.
        log_bytes: Bytes of the log since the last compaction.
        dropped: Records and consents that a compaction would remove from the disk.
        clock_behind_s: How far the machine's clock is behind the shard's time, in seconds.
        cut_bytes: Bytes of an unfinished write that were removed when the shard was opened.
    """

    records: int
    tenants: int
    consents: int
    memory_bytes: int
    log_bytes: int
    dropped: int
    clock_behind_s: float
    cut_bytes: int
