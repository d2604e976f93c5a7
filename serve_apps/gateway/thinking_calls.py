"""Calls of tools out of the deltas of a streamed chat completion, as they stand in a whole one. Pure.

Source: OpenAI's API description, `ChatCompletionMessageToolCallChunk`.
"""

from collections.abc import Mapping
from typing import Any

import orjson

_DEPTH = 4
"""So deep pieces of `extra_content` are joined."""


class CallsInPieces:
    """The calls of one message, and what a provider signed of it (`extra_content`)."""

    def __init__(self) -> None:
        self._calls: dict[int, dict[str, Any]] = {}
        self._extra: dict[str, Any] = {}

    def feed(self, delta: Mapping[str, Any]) -> None:
        """The next piece of the message. Raises: AttributeError, TypeError: It is none."""
        _join(self._extra, delta.get("extra_content") or {})
        for piece in delta.get("tool_calls") or ():
            self._piece(piece)

    def members(self) -> dict[str, Any]:
        """What they add to the message: nothing where there are none."""
        if not self._calls:
            return {}
        extra = {"extra_content": self._extra} if self._extra else {}
        return {"tool_calls": [call for _, call in sorted(self._calls.items())], **extra}

    def _piece(self, piece: Mapping[str, Any]) -> None:
        call = self._calls.setdefault(self._place(piece), _new())
        call["id"] = call["id"] or piece.get("id")
        function = piece.get("function") or {}
        said, given = call["function"], function.get("arguments")
        said["name"] = said["name"] or function.get("name")
        if given is not None:
            # Some servers send them decoded.
            said["arguments"] += given if isinstance(given, str) else orjson.dumps(given).decode()
        if piece.get("extra_content"):
            _join(call.setdefault("extra_content", {}), piece["extra_content"])

    def _place(self, piece: Mapping[str, Any]) -> int:
        """Which call a piece is of. Who sends no index sends each call whole, with an id."""
        index = piece.get("index")
        if isinstance(index, int):
            return index
        last = max(self._calls, default=-1)
        return last + 1 if piece.get("id") or last < 0 else last


def _new() -> dict[str, Any]:
    return {"id": None, "type": "function", "function": {"name": None, "arguments": ""}}


def _join(whole: dict[str, Any], piece: Mapping[str, Any], depth: int = _DEPTH) -> None:
    """Adds a piece to what came before: lists and objects grow, all else is said anew."""
    for name, value in piece.items():
        known = whole.get(name)
        if depth and isinstance(known, dict) and isinstance(value, Mapping):
            _join(known, value, depth - 1)
        elif isinstance(known, list) and isinstance(value, list):
            known.extend(value)
        else:
            whole[name] = value
