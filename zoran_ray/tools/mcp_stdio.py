"""An MCP server as a child process, spoken to over its stdin and stdout, in bounded memory.

The SDK's own transport collects a line however long it is; a tool that returns 100 MB would hold up
everything else for many seconds. Here a server that writes a longer line than allowed is cut off. However a
connection ends, the process and its children end too.

Source: Model Context Protocol, "Transports: stdio" and "Lifecycle: shutdown".
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from zoran_ray.errors import ConfigError

MOST_LINE_BYTES = 4 * 1024 * 1024
GRACE_S = 1.0
"""How long a server may take to end by itself, and again after SIGTERM."""

Streams = tuple[Any, Any]


@asynccontextmanager
async def stdio_transport(
    command: Sequence[str],
    environ: Mapping[str, str] | None = None,
    *,
    most_line_bytes: int = MOST_LINE_BYTES,
) -> AsyncIterator[Streams]:
    """Starts a server and gives the two streams that the SDK's `Client` wants.

    Args:
        command: The program and its arguments; no shell reads it.
        environ: Variables it gets besides the few that every program needs. Ours it does not get.
        most_line_bytes: Longest message.

    Raises:
        ConfigError: There is no such program.
    """
    process = await _started(command, environ or {}, most_line_bytes)
    inbox, received = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outbox, to_send = anyio.create_memory_object_stream[SessionMessage](0)
    tasks = [
        asyncio.create_task(_read(process, inbox)),
        asyncio.create_task(_write(process, to_send, inbox)),
    ]
    try:
        yield received, outbox
    finally:
        for task in tasks:
            task.cancel()
        # Shielded: a process must not outlive a caller that was cancelled twice.
        await asyncio.shield(_ended(process, tasks))
        for stream in (inbox, received, outbox, to_send):
            stream.close()


async def _started(
    command: Sequence[str], environ: Mapping[str, str], most_line_bytes: int
) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # Nobody reads it, and it may hold anything.
            stderr=asyncio.subprocess.DEVNULL,
            env={**get_default_environment(), **environ},
            limit=most_line_bytes,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"The MCP server's program cannot be started ({type(error).__name__}). Check its command."
        ) from None


async def _read(process: asyncio.subprocess.Process, inbox: Any) -> None:
    assert process.stdout is not None
    try:
        while line := await process.stdout.readline():
            with suppress(ValueError):  # what is no message is none of ours
                await inbox.send(SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False)))
    except ValueError:
        _signal(process, signal.SIGKILL)  # a line without end
    except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        pass
    finally:
        inbox.close()


async def _write(process: asyncio.subprocess.Process, to_send: Any, inbox: Any) -> None:
    assert process.stdin is not None
    try:
        async for message in to_send:
            text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
            process.stdin.write(text.encode() + b"\n")
            await process.stdin.drain()
    except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        inbox.close()  # so that nobody waits for an answer


async def _ended(process: asyncio.subprocess.Process, tasks: Sequence[asyncio.Task[None]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)
    assert process.stdin is not None
    with suppress(OSError):
        process.stdin.close()
    for number in (None, signal.SIGTERM, signal.SIGKILL):
        if number is not None:
            _signal(process, number)
        try:
            async with asyncio.timeout(GRACE_S):
                await process.wait()
            break
        except TimeoutError:
            continue
    _signal(process, signal.SIGKILL)  # what it started and left behind


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    # Its own session: the group has its number, also after it is gone.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
