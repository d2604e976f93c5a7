"""The tools of one request: who is allowed, with what arguments, for how long, how much comes back.

Whatever a tool does, a call ends in time with a short, clean text. Knows no model.
"""

import asyncio
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any

from zoran_ray.errors import ConfigError, InvalidRequest, ZoranError
from zoran_ray.tools.arguments import Arguments
from zoran_ray.tools.tool import PERMISSIONS, Observation, Permission, Tool

MOST_RESULT_BYTES = 16_384
GRACE_S = 0.5
"""How long a tool that was cancelled may clean up while its caller waits."""
UNLISTED = "unlisted"
"""Stands for a name that is no tool's: what a model wrote instead may be anything."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
# Control characters but tab and line feed, and halves of characters.
_UNFIT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What is kept of a call: nothing that was said.

    Attributes:
        name: Of the tool, or `UNLISTED`.
        ok: Whether it did what was asked.
        took_ms: How long it took, in milliseconds.
        result_bytes: Of what the model was given.
    """

    name: str
    ok: bool
    took_ms: float
    result_bytes: int


Audit = Callable[[ToolCall], None]
May = Callable[[str, Permission], bool]
"""Whether a tool may be used, told its name and what it reaches."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A tool as a model is told of it."""

    name: str
    description: str
    parameters: Mapping[str, Any]


class Toolbox:
    """Calls the tools that are allowed, and no others.

    Args:
        tools: All there are.
        allowed: Names of those that may be used.
        granted: What they may reach: an allowed tool of another permission stays unused.
        most_bytes: Longest result, in bytes of UTF-8.
        audit: Told of each call; it must be quick and may not raise.
        clock: Monotonic seconds.

    Raises:
        ConfigError: Two tools have one name, a name or schema is none, or an allowed name is no tool's.
    """

    def __init__(
        self,
        tools: Iterable[Tool],
        allowed: Collection[str],
        granted: Collection[Permission] = frozenset({"local"}),
        *,
        most_bytes: int = MOST_RESULT_BYTES,
        audit: Audit = lambda call: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        known = _by_name(tools)
        for name in allowed:
            if name not in known:
                raise ConfigError(f"No tool is named {name!r}. There are: {', '.join(sorted(known))}.")
        self._tools = {
            name: tool for name, tool in known.items() if name in allowed and tool.permission in granted
        }
        self._arguments = {name: Arguments(tool.parameters, name) for name, tool in self._tools.items()}
        self._most_bytes = most_bytes
        self._audit = audit
        self._clock = clock

    @property
    def offers(self) -> tuple[Offer, ...]:
        """What may be used, in the order of names."""
        return tuple(
            Offer(name, tool.description, tool.parameters) for name, tool in sorted(self._tools.items())
        )

    @property
    def reaches(self) -> frozenset[Permission]:
        """What its tools reach, together."""
        return frozenset(tool.permission for tool in self._tools.values())

    def only(self, names: Collection[str]) -> "Toolbox":
        """The same with fewer tools, for one request.

        Raises:
            InvalidRequest: One of them is not to be had here.
        """
        for name in names:
            if name not in self._tools:
                there = ", ".join(sorted(self._tools)) or "none"
                raise InvalidRequest(
                    f"The tool {name[:64]!r} may not be used here. Those: {there}.", param="allowed"
                )
        fewer = copy(self)
        fewer._tools = {name: tool for name, tool in self._tools.items() if name in names}
        return fewer

    def granted(self, may: May) -> "Toolbox":
        """The same with those tools alone that may be used."""
        return self.only([name for name, tool in self._tools.items() if may(name, tool.permission)])

    def bound(self, tools: Iterable[Tool], audit: Audit) -> "Toolbox":
        """The same for one request.

        Args:
            tools: Stand for those of the same name, for they know whose request it is. They take the same
                arguments and reach the same.
            audit: Told of its calls.
        """
        ours = copy(self)
        ours._tools = self._tools | {tool.name: tool for tool in tools if tool.name in self._tools}
        ours._audit = audit
        return ours

    async def call(self, name: str, arguments: Mapping[str, Any], *, deadline: float) -> Observation:
        """Uses a tool. Whatever goes wrong is told in the observation; a cancellation stops the tool.

        Args:
            name: As the model wrote it.
            arguments: Whatever the model wrote, decoded.
            deadline: When it must be over, in seconds of the clock.
        """
        began, seen = self._clock(), Observation("", ok=False)
        try:
            shown = self._refused(name, arguments) or await self._used(name, arguments, deadline - began)
            seen = _clean(shown, self._most_bytes)
        finally:
            took_ms = (self._clock() - began) * 1000
            listed = name if name in self._tools else UNLISTED
            self._audit(ToolCall(listed, seen.ok, took_ms, len(seen.text.encode())))
        return seen

    async def _used(self, name: str, arguments: Mapping[str, Any], left_s: float) -> Observation:
        tool = self._tools[name]
        return await _bounded(tool, arguments, min(tool.timeout_s, left_s))

    def _refused(self, name: str, arguments: Mapping[str, Any]) -> Observation | None:
        if name not in self._tools:
            there = ", ".join(sorted(self._tools)) or "none"
            return Observation(f"There is no such tool. You may use: {there}.", ok=False)
        fault = self._arguments[name].fault(arguments)
        return None if fault is None else Observation(f"Wrong arguments. {fault}", ok=False)


def _by_name(tools: Iterable[Tool]) -> dict[str, Tool]:
    known: dict[str, Tool] = {}
    for tool in tools:
        if not _NAME.fullmatch(tool.name):
            raise ConfigError(f"{tool.name[:64]!r} is no name of a tool: 1 to 64 of A-Z a-z 0-9 _ -.")
        if tool.name in known:
            raise ConfigError(f"Two tools are named {tool.name!r}. Rename one, or leave it out.")
        if tool.permission not in PERMISSIONS:
            raise ConfigError(
                f"The tool {tool.name!r} must say which it is: {', '.join(sorted(PERMISSIONS))}."
            )
        known[tool.name] = tool
    return known


async def _bounded(tool: Tool, arguments: Mapping[str, Any], timeout_s: float) -> Observation:
    """Calls a tool that may hang, even when it is told to stop."""
    if timeout_s <= 0:
        return Observation("There is no time left for a tool.", ok=False)
    task = asyncio.ensure_future(_told(tool, arguments))
    try:
        done, _ = await asyncio.wait({task}, timeout=timeout_s)
    except asyncio.CancelledError:
        await _stopped(task)
        raise
    if done:
        return task.result()
    await _stopped(task)
    return Observation(f"The tool gave no answer within {timeout_s:.3g} seconds.", ok=False)


async def _told(tool: Tool, arguments: Mapping[str, Any]) -> Observation:
    """Calls a tool that may raise anything: what it says after it was told to stop is heard by nobody."""
    try:
        return await tool.call(arguments)
    except ZoranError as error:
        return Observation(error.message, ok=False)
    except asyncio.CancelledError:
        return Observation("The tool broke off.", ok=False)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # also `sys.exit`, and panics of libraries in Rust
        return Observation(f"The tool failed ({type(error).__name__}).", ok=False)


_leaving: set["asyncio.Future[Observation]"] = set()
"""Tools that do not stop when told to: kept until they do, or asyncio would drop them half-way."""


async def _stopped(task: "asyncio.Future[Observation]") -> None:
    task.cancel()
    _leaving.add(task)
    task.add_done_callback(_leaving.discard)
    await asyncio.wait({task}, timeout=GRACE_S)


def _clean(seen: object, most_bytes: int) -> Observation:
    """An observation of at most so many bytes of clean UTF-8, whatever the tool gave."""
    if not isinstance(seen, Observation) or not isinstance(seen.text, str):
        return Observation("The tool gave no text.", ok=False)
    # Cut before anything else looks at it: a tool may give 100 MB.
    text = seen.text[:most_bytes].replace("\r\n", "\n").replace("\r", "\n")
    text = _UNFIT.sub("\ufffd", text)
    cut = text.encode()[:most_bytes].decode(errors="ignore")
    shortened = len(seen.text) > most_bytes or len(cut) < len(text)
    return Observation(cut, bool(seen.ok), bool(seen.truncated) or shortened)
