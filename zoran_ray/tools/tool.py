"""What a tool is, and what it gives back. Knows no model and no transport."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Permission = Literal["local", "network", "code", "memory"]
"""What a tool reaches: nothing but this process, the network, code that runs, what is remembered."""

PERMISSIONS: frozenset[Permission] = frozenset({"local", "network", "code", "memory"})


@dataclass(frozen=True, slots=True)
class Observation:
    """What a call of a tool showed.

    Attributes:
        text: For the model: the result, or what went wrong and what to do.
        ok: Whether the call did what was asked.
        truncated: Whether more was there than the text holds.
    """

    text: str = field(repr=False)
    ok: bool = True
    truncated: bool = False


class Tool(Protocol):
    """Something a model may use. Use it through a `Toolbox`, which checks, bounds and audits each call."""

    @property
    def name(self) -> str:
        """As the model writes it: 1 to 64 of letters, digits, `_` and `-`."""
        ...

    @property
    def description(self) -> str:
        """What it does and when to use it, for the model."""
        ...

    @property
    def parameters(self) -> Mapping[str, Any]:
        """JSON schema of the arguments: an object."""
        ...

    @property
    def permission(self) -> Permission:
        """What it reaches."""
        ...

    @property
    def timeout_s(self) -> float:
        """Longest call, in seconds."""
        ...

    async def call(self, arguments: Mapping[str, Any]) -> Observation:
        """Does it. A cancellation stops what was begun.

        Args:
            arguments: They fit the schema.

        Raises:
            ZoranError: It cannot be done; the message is for the model too.
        """
        ...
