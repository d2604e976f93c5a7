"""Calls of tools in OpenAI's chat completions: how tools are declared, and how what a model wrote is read.

Pure. A message of a model goes back into the conversation, to a provider that reads it strictly: what is
not as it should be is mended here, and a signature of its thoughts (`extra_content`) goes back with it.

Source: OpenAI's API description, `ChatCompletionTool`, `ChatCompletionMessageToolCall`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zoran_ray.reasoning.acting import Offered
from zoran_ray.reasoning.completion import Message
from zoran_ray.reasoning.fence import harmless
from zoran_ray.reasoning.react_text import MOST_DEPTH, is_deeper

MOST_CALLS = 16
"""Of one turn; what else the model wanted to call it can call in the next."""
MOST_GIVEN = 20_000
"""Longest arguments of one call, in characters."""
MOST_EXTRA_BYTES = 65_536
"""Longest signature that goes back with a call."""
_MOST_DESCRIPTION = 1_000
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NAMELESS = "unnamed"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call.

    Attributes:
        id: By which the answer names it.
        tool: The tool's name.
        given: The arguments as the model wrote them.
        arguments: The same, decoded; None where they cannot be read.
        fault: Why not, in words for the model.
    """

    id: str
    tool: str
    given: str = field(repr=False)
    arguments: Mapping[str, Any] | None = field(repr=False)
    fault: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)


def tools_of(offers: Sequence[Offered]) -> tuple[Message, ...]:
    """Tools as a request declares them."""
    return tuple(
        {
            "type": "function",
            "function": {
                "name": each.name,
                "description": harmless(each.description[:_MOST_DESCRIPTION]),
                "parameters": dict(each.parameters),
            },
        }
        for each in offers
    )


def called_in(message: Message | None, turn: int) -> list[ToolCall]:
    """The calls in a message, whatever a model or a server wrote there.

    Args:
        turn: Number of the turn; calls without an id of their own get one that no other turn has.
    """
    found = (message or {}).get("tool_calls")
    given = [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []
    calls: list[ToolCall] = []
    for place, each in enumerate(given[:MOST_CALLS]):
        call = _call(each, f"call_{turn}_{place}", {call.id for call in calls})
        calls.append(call)
    return calls


def carried_on(message: Message, calls: Sequence[ToolCall], text: str) -> Message:
    """The model's turn as it stands in the conversation from then on."""
    told = [
        {
            "id": call.id,
            "type": "function",
            # Providers with another format decode them: what cannot be read is not shown to them.
            "function": {"name": call.tool, "arguments": json.dumps(call.arguments or {})},
            **call.extra,
        }
        for call in calls
    ]
    return {"role": "assistant", "content": text, "tool_calls": told, **_extra(message)}


def _call(given: Mapping[str, Any], own: str, taken: set[str]) -> ToolCall:
    function = given.get("function")
    parts: Mapping[str, Any] = function if isinstance(function, Mapping) else {}
    call_id, name, text = given.get("id"), parts.get("name"), parts.get("arguments")
    known = isinstance(call_id, str) and 0 < len(call_id) <= 256 and call_id not in taken
    tool = name if isinstance(name, str) and _NAME.fullmatch(name) else _NAMELESS
    written = text if isinstance(text, str) else json.dumps(text)  # some servers decode them already
    arguments, fault = _arguments(written)
    known_id = str(call_id) if known else own
    return ToolCall(known_id, tool, written[:MOST_GIVEN], arguments, fault, _extra(given))


def _arguments(text: str) -> tuple[dict[str, Any] | None, str]:
    if len(text) > MOST_GIVEN:
        return None, f"The arguments are longer than {MOST_GIVEN} characters. Call it with shorter ones."
    try:
        # Models that have nothing to pass write nothing at all.
        found = json.loads(text or "{}", parse_constant=_no_number)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict) and not is_deeper(found, MOST_DEPTH):
        return found, ""
    return None, "The arguments are not one plain JSON object. Make the call again with arguments that are."


def _no_number(name: str) -> None:
    raise ValueError(name)


def _extra(holder: Mapping[str, Any]) -> dict[str, Any]:
    extra = holder.get("extra_content")
    if not isinstance(extra, Mapping) or len(json.dumps(extra)) > MOST_EXTRA_BYTES:
        return {}
    return {"extra_content": dict(extra)}
