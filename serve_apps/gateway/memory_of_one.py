"""The memory of one person, for the tool `memory` of one request. What is found stands in a fence."""

from collections.abc import Callable

from serve_apps.gateway.memory_chat import is_near
from serve_apps.gateway.memory_desk import MemoryDesk
from serve_apps.gateway.memory_fence import fenced, fitting
from serve_apps.gateway.memory_fields import Draft, Search
from serve_apps.gateway.strategies import MemoryUse
from zoran_ray.errors import PermissionDenied
from zoran_ray.memory.record import MOST_NAME_CHARS, Layer
from zoran_ray.messages import KeyInfo

_PURPOSE = "conversation"
_FOUND = (Layer.SHORT, Layer.LONG, Layer.LATENT)


class MemoryOfOne:
    """See `memory_tool.OnesMemory`.

    Args:
        desk: Asks the memory.
        key: Whose request it is; its tenant's records, and no others, are read and written.
        use: About whom, and what is allowed.
        request_id: Stands with what is written.
        writer: Who writes: `model:` and its name.
        trusted: Whether the model has read nothing from outside; otherwise what it writes is quarantined.
        plain: Puts back what was masked: nothing leaves this deployment here.
        secret: Of the fence.
    """

    def __init__(
        self,
        desk: MemoryDesk,
        key: KeyInfo,
        use: MemoryUse,
        request_id: str,
        *,
        writer: str,
        trusted: bool,
        plain: Callable[[str], str],
        secret: bytes,
    ) -> None:
        self._desk = desk
        self._key = key
        self._use = use
        self._request_id = request_id
        self._writer = writer[:MOST_NAME_CHARS]
        self._trusted = trusted
        self._plain = plain
        self._secret = secret

    async def search(self, text: str, limit: int) -> str:
        """See `OnesMemory`."""
        purpose = self._use.purpose
        asked = Search(
            text=self._plain(text),
            subjects=(self._use.subject,),
            layers=_FOUND,
            purposes=None if purpose is None else (purpose,),
            limit=limit,
        )
        hits = await self._desk.search(self._key, asked)
        return fenced(fitting([hit.record for hit in hits if is_near(hit)]), self._secret)

    async def put(self, text: str) -> None:
        """See `OnesMemory`."""
        if not self._use.write:
            raise PermissionDenied(
                "Nothing may be remembered in this request: 'zoran.tools.memory.write' is not set.",
                param="zoran.tools.memory.write",
            )
        draft = Draft(
            subject=self._use.subject,
            text=self._plain(text),
            purpose=self._use.purpose or _PURPOSE,
            layer=Layer.LATENT if self._trusted else Layer.PARASITIC,
            source=self._writer,
            consent=self._use.consent,
        )
        await self._desk.put(self._key, [draft], self._request_id)
