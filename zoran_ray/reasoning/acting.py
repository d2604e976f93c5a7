"""What a strategy knows of tools: who is offered, and that they can be called. Knows no tool.

`zoran_ray.tools.toolbox.Toolbox` is one such; it checks arguments, bounds time and size, and keeps account.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol


class Offered(Protocol):
    """A tool as a model is told of it."""

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def parameters(self) -> Mapping[str, Any]:
        """JSON schema of the arguments: an object."""
        ...


class Seen(Protocol):
    """What a call showed."""

    @property
    def text(self) -> str:
        """The result, or what went wrong and what to do."""
        ...

    @property
    def ok(self) -> bool: ...

    @property
    def truncated(self) -> bool: ...


class Tools(Protocol):
    """The tools that one request may use."""

    @property
    def offers(self) -> Sequence[Offered]: ...

    async def call(self, name: str, arguments: Mapping[str, Any], *, deadline: float) -> Seen:
        """Uses a tool, in bounded time; whatever goes wrong is told in what is seen.

        Args:
            name: Whatever the model wrote.
            arguments: Whatever the model wrote, decoded.
            deadline: When it must be over, in seconds of `time.monotonic`.
        """
        ...


class NoTools:
    """None at all."""

    offers: Sequence[Offered] = ()

    async def call(self, name: str, arguments: Mapping[str, Any], *, deadline: float) -> Seen:
        """Never called: nothing is offered."""
        raise LookupError("There is no tool.")


OpenTools = Callable[[], Awaitable[Tools]]
"""Opens the tools of a request, once a strategy wants them. Raises: ZoranError: They cannot be had now."""


async def no_tools() -> Tools:
    """Opens none."""
    return NoTools()
