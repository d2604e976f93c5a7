"""What the journal hears of the memory: who did what to which record, never what was said.

Names go in clear to the journal, which hides them; ids are tokens (`memory_fields.Id`), the rest is numbers
and names of ours. Knows neither memory nor HTTP.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, Protocol

from zoran_ray.errors import Unavailable
from zoran_ray.journal import Event, Kind
from zoran_ray.journal.entry import Scalar
from zoran_ray.memory.consent import Consent
from zoran_ray.memory.record import Record
from zoran_ray.memory.rules import source_kind

log = logging.getLogger("zoran.gateway")

_TOKEN = re.compile(r"[A-Za-z0-9._:/+=-]{1,160}")


class Tell(Protocol):
    """Hands events to the journal."""

    def __call__(self, events: tuple[Event, ...], durable: bool, /) -> Awaitable[int]:
        """The number of the first leaf; the others follow it. `durable`: not before it is on the disk."""
        ...


ForgetNames = Callable[[str, str | None], Awaitable[None]]
"""Has the journal forget the key that hides a tenant's subject, or of a tenant everybody's (None)."""


class MemoryJournal:
    """Tells the journal of the memory.

    Args:
        tell: Hands events to the journal.
        forget_names: Has the journal forget names.
        durable: Whether writes too wait until the journal has them on its disk.
    """

    def __init__(self, tell: Tell, forget_names: ForgetNames, *, durable: bool = False) -> None:
        self._tell = tell
        self._forget_names = forget_names
        self._durable = durable

    async def writing(self, records: Sequence[Record]) -> int:
        """Tells of records that are about to be kept. Returns: The first leaf. Raises: Unavailable."""
        return await self._told([_write(record) for record in records], durable=self._durable)

    async def moving(self, record: Record, act: Literal["confirmed", "promoted"]) -> int:
        """Tells of a record that somebody is about to move on. Returns: The leaf. Raises: Unavailable."""
        meta: dict[str, Scalar] = {"record": record.id, "layer": record.layer.value, "act": act}
        event = Event(Kind.MEMORY_PROMOTION, meta, tenant=record.tenant, subject=record.subject)
        return await self._told([event], durable=self._durable or act == "promoted")

    async def agreeing(self, consent: Consent) -> int:
        """Tells of a consent that is about to be given. Returns: The leaf. Raises: Unavailable."""
        meta: dict[str, Scalar] = {"consent": consent.id, "change": "given"}
        event = Event(Kind.CONSENT_CHANGE, meta, tenant=consent.tenant, subject=consent.subject)
        return await self._told([event], durable=True)

    async def withdrawn(self, tenant: str, consent_id: str, *, forget: bool) -> int | None:
        """Tells of a consent that was taken back. Returns: The leaf, None where it could not be told."""
        meta: dict[str, Scalar] = {"consent": consent_id, "change": "withdrawn", "erased": forget}
        return await self._told_after(Event(Kind.CONSENT_CHANGE, meta, tenant=tenant))

    async def erased(self, scope: str, count: int, tenant: str, subject: str = "") -> int | None:
        """Tells of records that are gone. Returns: The leaf, None where it could not be told."""
        meta: dict[str, Scalar] = {"scope": scope, "records": count}
        return await self._told_after(Event(Kind.MEMORY_ERASURE, meta, tenant=tenant, subject=subject))

    async def forget_names(self, tenant: str, subject: str | None) -> bool:
        """Has names forgotten. Returns: Whether they are."""
        try:
            await self._forget_names(tenant, subject)
        except Exception as failure:
            log.error("the journal did not forget names, repeat the erasure: %s", type(failure).__name__)
            return False
        return True

    async def _told(self, events: Sequence[Event], *, durable: bool) -> int:
        try:
            return await self._tell(tuple(events), durable)
        except Exception as failure:
            log.warning("the journal did not take %d events: %s", len(events), type(failure).__name__)
            raise Unavailable(
                "The journal does not answer, and nothing is remembered without it. Try again shortly.",
                retry_after_s=2.0,
            ) from None

    async def _told_after(self, event: Event) -> int | None:
        try:
            return await self._told([event], durable=True)
        except Unavailable:
            log.error("done, but not in the journal: %s", event.kind.value)
            return None


def _write(record: Record) -> Event:
    purpose = record.purpose if _TOKEN.fullmatch(record.purpose) else "other"
    meta: dict[str, Scalar] = {
        "record": record.id,
        "layer": record.layer.value,
        "purpose": purpose,
        "source": source_kind(record.source),
        "text_bytes": len(record.text.encode()),
    }
    return Event(Kind.MEMORY_WRITE, meta, tenant=record.tenant, subject=record.subject)
