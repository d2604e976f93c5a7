"""What tasks remember of past fixes, in the memory of their owner's tenant; see the pilot's `FixMemory`.

A fix is a proposal: it begins in the latent layer, and is one of a task's sources, never an instruction. It
is found by its words, so no model is asked for vectors. The first fix starts the memory; to look for one in
a memory that nobody has used does not.
"""

import time
from collections.abc import Callable
from pathlib import Path

from actors.memory import LAYOUT_FILE
from actors.memory_client import memory_client
from actors.told import Tell
from zoran_ray.journal import Event, Kind
from zoran_ray.journal.entry import Scalar
from zoran_ray.memory.record import Layer, Provenance, Record, new_id
from zoran_ray.memory.search import Filter, Query
from zoran_ray.memory.service import MemoryService

SUBJECT = "autopilot"
PURPOSE = "knowledge"
SOURCE = "agent:autopilot"
MOST_FOUND = 3

_OWN = "-"
"""Tenant of keys that have none."""
_MOST_QUERY_CHARS = 2_000
_MOST_TEXT_CHARS = 2_000


class SharedFixMemory:
    """Past fixes in the memory of this cluster.

    Args:
        state_dir: Where it is known whether there is a memory.
        tell: Writes into the journal, which hears of a record before it is kept.
        memory: The memory.
        clock: Unix time in seconds.
    """

    def __init__(
        self,
        state_dir: Path,
        tell: Tell,
        memory: MemoryService | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._layout = state_dir / "memory" / LAYOUT_FILE
        self._tell = tell
        self._memory = memory or memory_client()
        self._clock = clock

    async def find(self, owner: str, text: str) -> str:
        """What is remembered that is like a text; empty for nothing. Raises: ZoranError."""
        asked = text[:_MOST_QUERY_CHARS]
        if not asked.strip() or not self._layout.exists():
            return ""
        where = Filter((SUBJECT,), frozenset({Layer.LONG, Layer.LATENT}), (PURPOSE,))
        hits = await self._memory.search(Query(owner or _OWN, asked, limit=MOST_FOUND, where=where))
        return "\n".join(hit.record.text for hit in hits)

    async def keep(self, owner: str, text: str) -> None:
        """Remembers a sentence. Raises: ZoranError."""
        if not text.strip():
            return
        kept, tenant, name = text[:_MOST_TEXT_CHARS], owner or _OWN, new_id()
        meta: dict[str, Scalar] = {
            "record": name, "layer": Layer.LATENT.value, "purpose": PURPOSE, "source": "agent",
            "text_bytes": len(kept.encode()),
        }  # fmt: skip
        leaf = await self._tell([Event(Kind.MEMORY_WRITE, meta, tenant=tenant, subject=SUBJECT)])
        record = Record(
            name, tenant, SUBJECT, kept, PURPOSE, self._clock(), Layer.LATENT, source=SOURCE,
            provenance=Provenance("", leaf),
        )  # fmt: skip
        await self._memory.put([record])
