"""What tools show, as the privacy profile lets a model see it. Knows no tool and no profile."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from zoran_ray.errors import ZoranError
from zoran_ray.reasoning.acting import Offered, Seen, Tools
from zoran_ray.tools.tool import Observation


class SeenThroughPrivacy:
    """Tools whose results are looked through.

    Args:
        tools: They do the work.
        shown: A text as the model may see it. Raises: ZoranError: It may not.
    """

    def __init__(self, tools: Tools, shown: Callable[[str], Awaitable[str]]) -> None:
        self._tools = tools
        self._shown = shown

    @property
    def offers(self) -> Sequence[Offered]:
        """As the tools."""
        return self._tools.offers

    async def call(self, name: str, arguments: Mapping[str, Any], *, deadline: float) -> Seen:
        """As `Tools`; a result that the model may not see is a failure that says so."""
        seen = await self._tools.call(name, arguments, deadline=deadline)
        try:
            return Observation(await self._shown(seen.text), seen.ok, seen.truncated)
        except ZoranError as error:
            return Observation(f"The result cannot be shown. {error.message}", ok=False)
