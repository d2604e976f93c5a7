"""The tools of an MCP server as tools of ours.

The server is a stranger: it may die, hang, or answer with anything, and what it says of its tools is text
to be shown to a model, never believed. One that dies or hangs is started again with the next call, at most
`Restarts.intensity` times in `Restarts.period_s`; then it is left alone until that time is over.
"""

import asyncio
import json
import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from mcp import Client, MCPError
from mcp_types import (
    CONNECTION_CLOSED,
    REQUEST_TIMEOUT,
    CallToolResult,
    EmbeddedResource,
    ResourceLink,
    TextContent,
)
from mcp_types import Tool as Told

from zoran_ray.errors import ConfigError, DeadlineExceeded, Unavailable, UpstreamError, ZoranError
from zoran_ray.tools.arguments import Arguments
from zoran_ray.tools.mcp_connection import Connection, Transport
from zoran_ray.tools.tool import Observation, Permission

MOST_TOOLS = 64
MOST_PAGES = 16
MOST_DESCRIPTION_CHARS = 1000
_NAME = re.compile(r"[a-z][a-z0-9]{0,19}")
_UNFIT = re.compile(r"[^A-Za-z0-9_-]")
_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]+"
)


@dataclass(frozen=True, slots=True)
class Restarts:
    """How often a server that failed is started again.

    Attributes:
        intensity: Restarts within a period; one more, and it is left alone.
        period_s: The period, in seconds.
    """

    intensity: int = 3
    period_s: float = 60.0


@dataclass(frozen=True, slots=True)
class McpTimes:
    """How long a server may take, in seconds.

    Attributes:
        start_s: To start and say what it has.
        call_s: For one call.
    """

    start_s: float = 20.0
    call_s: float = 30.0


class McpServer:
    """One MCP server. Close it.

    Args:
        name: As its tools are named: `name_tool`.
        transport: Makes a connection.
        permission: What its tools are taken to reach; nobody can check it.
        times: How long it may take.
        restarts: How often it is started again.
        clock: Monotonic seconds.

    Attributes:
        left_out: Names of tools that cannot be used here: their schemas are none, or their names are taken.

    Raises:
        ConfigError: The name is none.
    """

    def __init__(
        self,
        name: str,
        transport: Transport,
        *,
        permission: Permission = "code",
        times: McpTimes | None = None,
        restarts: Restarts | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not _NAME.fullmatch(name):
            raise ConfigError("An MCP server is named by 1 to 20 of a-z and 0-9, a letter first.")
        self.name = name
        self.permission: Permission = permission
        self.times = times or McpTimes()
        self.left_out: tuple[str, ...] = ()
        self._transport = transport
        self._restarts = restarts or Restarts()
        self._clock = clock
        self._failures: deque[float] = deque(maxlen=self._restarts.intensity + 1)
        self._connection: Connection | None = None
        self._starting = asyncio.Lock()

    async def tools(self) -> "tuple[McpTool, ...]":
        """What it offers, as far as it can be used here.

        Raises:
            ZoranError: It cannot be asked.
        """
        told = await self._asked(_listed, self.times.start_s)
        found: dict[str, McpTool] = {}
        left_out = []
        for each in told[:MOST_TOOLS]:
            tool = McpTool(self, each)
            try:
                Arguments(tool.parameters, tool.name)
            except ConfigError:
                left_out.append(each.name)
                continue
            if tool.name in found:
                left_out.append(each.name)
            found.setdefault(tool.name, tool)
        self.left_out = (*left_out, *(each.name for each in told[MOST_TOOLS:]))
        return tuple(found.values())

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> Observation:
        """Calls a tool of it.

        Raises:
            DeadlineExceeded: It does not answer; it is ended, and started again with the next call.
            UpstreamError: It died, or answered with nonsense; likewise.
            Unavailable: It failed too often, and is left alone for a while.
        """

        async def work(client: Client) -> Observation:
            try:
                return _seen(await client.call_tool(tool, dict(arguments)))
            except MCPError as error:
                if error.code in (CONNECTION_CLOSED, REQUEST_TIMEOUT):
                    raise
                return Observation(error.message, ok=False)

        seen: Observation = await self._asked(work, self.times.call_s)
        return seen

    async def close(self) -> None:
        """Ends it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _asked(self, work: Callable[[Client], Any], most_s: float) -> Any:
        connection = await self._connected()
        try:
            async with asyncio.timeout(most_s):
                return await work(connection.client)
        except TimeoutError:
            await self._failed(connection)
            raise DeadlineExceeded(
                f"The MCP server {self.name!r} gave no answer within {most_s:g} s."
            ) from None
        except ZoranError:
            raise
        except Exception:
            # Not with its words: they are a stranger's.
            await self._failed(connection)
            raise UpstreamError(
                f"The MCP server {self.name!r} broke off or answered with nonsense. Try again."
            ) from None

    async def _connected(self) -> Connection:
        async with self._starting:
            if self._connection is not None and not self._connection.is_over:
                return self._connection
            if self._connection is not None:
                await self._failed(self._connection)
            self._check_restarts()
            connection = Connection(self._transport)
            try:
                await connection.open(self.times.start_s)
            except ZoranError:
                self._failures.append(self._clock())
                raise
            except Exception:
                self._failures.append(self._clock())
                raise UpstreamError(
                    f"The MCP server {self.name!r} did not start. Check its command."
                ) from None
            self._connection = connection
            return connection

    def _check_restarts(self) -> None:
        since = self._clock() - self._restarts.period_s
        recent = [moment for moment in self._failures if moment > since]
        if len(recent) > self._restarts.intensity:
            wait_s = recent[0] - since
            raise Unavailable(
                f"The MCP server {self.name!r} failed {len(recent)} times in {self._restarts.period_s:g} s;"
                f" it is left alone for {wait_s:.0f} s.",
                retry_after_s=wait_s,
            )

    async def _failed(self, connection: Connection) -> None:
        if self._connection is connection:  # of several calls that see it fail, the first tells
            self._connection = None
            self._failures.append(self._clock())
        await connection.close()


class McpTool:
    """One tool of an MCP server.

    Args:
        server: Whose.
        told: What the server says of it.
    """

    def __init__(self, server: McpServer, told: Told) -> None:
        self._server = server
        self._there = told.name
        self.name = _named(server.name, told.name)
        words = _CONTROL.sub(" ", told.description or told.title or "")[:MOST_DESCRIPTION_CHARS]
        self.description = f"A tool of the MCP server {server.name!r}, in its own words: {words}"
        self.parameters: Mapping[str, Any] = told.input_schema
        self.permission: Permission = server.permission
        # The server's own time comes first; its end says more.
        self.timeout_s = server.times.start_s + server.times.call_s + 5.0

    async def call(self, arguments: Mapping[str, Any]) -> Observation:
        """Calls it. Raises: As `McpServer.call`."""
        return await self._server.call(self._there, arguments)


async def _listed(client: Client) -> list[Told]:
    found: list[Told] = []
    cursor: str | None = None
    for _ in range(MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        found += page.tools
        cursor = page.next_cursor
        if cursor is None or len(found) > MOST_TOOLS:
            break
    return found


def _named(server: str, tool: str) -> str:
    """A name of ours for a tool of a server, whatever it is called there."""
    name = f"{server}_{_UNFIT.sub('_', tool)}"
    if len(name) <= 64:
        return name
    return f"{name[:55]}_{blake2b(tool.encode(errors='replace'), digest_size=4).hexdigest()}"


def _seen(result: CallToolResult) -> Observation:
    parts = []
    for block in result.content:
        if isinstance(block, TextContent):
            parts.append(block.text)
        elif isinstance(block, ResourceLink):
            parts.append(str(block.uri))
        elif isinstance(block, EmbeddedResource) and isinstance(getattr(block.resource, "text", None), str):
            parts.append(block.resource.text)  # type: ignore[union-attr]
        else:
            parts.append(f"[{block.type} that cannot be shown]")
    if not parts and result.structured_content is not None:
        parts.append(json.dumps(result.structured_content, ensure_ascii=False))
    return Observation("\n".join(parts), ok=not result.is_error)
