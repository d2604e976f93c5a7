"""How large a shard may become."""

from collections.abc import Sequence
from dataclasses import dataclass

from zoran_ray.errors import StorageFull
from zoran_ray.memory.ops import Drop, Op, Put
from zoran_ray.memory.state import ShardState


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large a shard may become.

    Attributes:
        records: Most records.
        memory_bytes: Most bytes of memory, about.
        batch: Most records of one write.
        tenants: Most tenants.
    """

    records: int = 1_000_000
    memory_bytes: int = 8 * 1024**3
    batch: int = 1000
    tenants: int = 10_000


def check_room(state: ShardState, ops: Sequence[Op], bounds: Bounds) -> None:
    """Raises: StorageFull: There is no room for what would be new."""
    fresh = [op.record for op in ops if isinstance(op, Put)]
    dropped = sum(len(op.ids) for op in ops if isinstance(op, Drop))
    new = sum(state.find(record.tenant, record.id) is None for record in fresh) - dropped
    if new <= 0:
        return
    if state.records + new > bounds.records:
        raise StorageFull(f"This shard holds at most {bounds.records} records. Forget some or add a shard.")
    tenants = {record.tenant for record in fresh if record.tenant not in state.tenants}
    if len(state.tenants) + len(tenants) > bounds.tenants:
        raise StorageFull(f"This shard has at most {bounds.tenants} tenants. Add a shard.")
    if state.size_bytes > bounds.memory_bytes:
        raise StorageFull(
            f"This shard uses its {bounds.memory_bytes} bytes of memory. Forget some or add a shard."
        )
