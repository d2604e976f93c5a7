"""OpenAI's chat body → the body of Anthropic's Messages API. Pure; knows no HTTP.

What differs, and what is made of it:
- `max_tokens` is required there: `DEFAULT_MAX_TOKENS` where the client sets no limit.
- One system prompt in front: messages of the system and the developer are moved there, one text block
  each, as Anthropic's own OpenAI-compatible endpoint does.
- Turns alternate and tool results belong to the user's: adjacent messages of one side become one turn.
- `temperature` ends at 1. `seed`, `logprobs`, `n`, penalties and `logit_bias` do not exist. JSON needs a
  schema: `json_object` is refused.
- `reasoning_effort` turns adaptive thinking on, with the nearest effort there is, or off (`none`);
  `thinking_token_budget`, vLLM's name, is the fixed budget of older models.
- Thinking is signed and has to come back with tool results: see `THINKING_BLOCKS`.

Source: https://platform.claude.com/docs/en/api/messages/create,
https://platform.claude.com/docs/en/build-with-claude/structured-outputs and
https://platform.claude.com/docs/en/cli-sdks-libraries/libraries/openai-sdk.
"""

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from zoran_ray.engines.providers.conversation import (
    AssistantMessage,
    Conversation,
    Image,
    Text,
    ToolMessage,
    UserMessage,
    read_conversation,
)
from zoran_ray.engines.providers.parameters import JsonFormat, Parameters
from zoran_ray.engines.providers.tools import ToolUse, read_tools
from zoran_ray.errors import InvalidRequest

DEFAULT_MAX_TOKENS = 16_384
"""Room for thinking and an answer; below the limit of every model since Claude 4."""

VENDOR = "anthropic"
THINKING_BLOCKS = "thinking_blocks"
"""Where signed thinking travels: `extra_content.anthropic.thinking_blocks` of an assistant's message, each
with the `index` it had among the answer's blocks. A client that sends its message back as it came keeps the
model's train of thought; one that leaves it out loses only that."""

_IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_ID = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_EFFORTS = {"minimal": "low"}

Block = dict[str, Any]


def anthropic_body(
    document: Mapping[str, Any], model: str, default_max_tokens: int = DEFAULT_MAX_TOKENS
) -> dict[str, Any]:
    """The body to send.

    Args:
        document: OpenAI's chat body.
        model: Anthropic's name of the model.
        default_max_tokens: Most tokens of an answer where the client sets no limit.

    Raises:
        InvalidRequest: The body is not OpenAI's, or asks for what Anthropic does not have.
    """
    asked = Parameters(document, "Anthropic")
    conversation = read_conversation(asked.take("messages"))
    body: dict[str, Any] = {"model": model, "messages": _turns(conversation)}
    if conversation.system:
        body["system"] = [_text(text) for text in conversation.system]
    body |= _sampling(asked) | _tools(read_tools(asked)) | _thinking(asked)
    if wanted := asked.json_format():
        body.setdefault("output_config", {})["format"] = _format(wanted, asked)
    if document.get("stream") is True:
        body["stream"] = True
    if type(user := document.get("safety_identifier") or document.get("user")) is str and user:
        body["metadata"] = {"user_id": user}
    budget = body.get("thinking", {}).get("budget_tokens", 0)
    body["max_tokens"] = asked.output_limit() or default_max_tokens + budget
    asked.refuse_rest()
    return body


def _sampling(asked: Parameters) -> dict[str, Any]:
    found = {
        "temperature": asked.number("temperature", 0, 1),
        "top_p": asked.number("top_p", 0, 1),
        "top_k": asked.top_k(),
        "stop_sequences": asked.stops() or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _thinking(asked: Parameters) -> dict[str, Any]:
    effort, budget = asked.effort(), asked.integer("thinking_token_budget", 0)
    if effort is not None and budget is not None:
        raise asked.refusal("thinking_token_budget", "takes either this or 'reasoning_effort'")
    if effort == "none" or budget == 0:
        return {"thinking": {"type": "disabled"}}
    if budget is not None:
        return {"thinking": {"type": "enabled", "budget_tokens": budget}}
    if effort is None:
        return {}
    # Newer models say nothing of what they think unless asked to.
    return {
        "thinking": {"type": "adaptive", "display": "summarized"},
        "output_config": {"effort": _EFFORTS.get(effort, effort)},
    }


def _format(wanted: JsonFormat, asked: Parameters) -> dict[str, Any]:
    if wanted.schema is None:
        raise asked.refusal("response_format", "writes JSON only to a schema; use json_schema")
    return {"type": "json_schema", "schema": wanted.schema}


def _tools(use: ToolUse) -> dict[str, Any]:
    if not use.tools:
        return {}
    tools = []
    for tool in use.tools:
        told: dict[str, Any] = {"name": tool.name, "input_schema": tool.parameters}
        if tool.description:
            told["description"] = tool.description
        if tool.strict:
            told["strict"] = True
        tools.append(told)
    return {"tools": tools, "tool_choice": _tool_choice(use)}


def _tool_choice(use: ToolUse) -> dict[str, Any]:
    if use.mode == "none":
        return {"type": "none"}
    choice: dict[str, Any] = {"type": "any" if use.mode == "required" else "auto"}
    if use.named is not None:
        choice = {"type": "tool", "name": use.named}
    return choice if use.parallel else choice | {"disable_parallel_tool_use": True}


def _turns(conversation: Conversation) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = []
    for message in conversation.messages:
        role = "assistant" if isinstance(message, AssistantMessage) else "user"
        blocks = _blocks(message)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": role, "content": blocks})
    return turns


def _blocks(message: UserMessage | AssistantMessage | ToolMessage) -> list[Block]:
    match message:
        case UserMessage(parts):
            return [_text(part.text) if isinstance(part, Text) else _image(part) for part in parts]
        case ToolMessage(call_id, _, text):
            result: Block = {"type": "tool_result", "tool_use_id": _tool_id(call_id)}
            return [result | ({"content": text} if text else {})]
        case AssistantMessage(texts, calls, extra):
            # Other models put a line feed before a call; Anthropic refuses text that is only white space.
            blocks = [_text(text) for text in texts if text.strip()]
            blocks += [
                {
                    "type": "tool_use",
                    "id": _tool_id(call.call_id),
                    "name": call.name,
                    "input": call.arguments,
                }
                for call in calls
            ]
            for index, block in _thought(extra):
                blocks.insert(index, block)
            return blocks


def _thought(extra: Mapping[str, Any]) -> list[tuple[int, Block]]:
    """Thinking blocks of an earlier answer and where they stood, in order."""
    ours = extra.get(VENDOR)
    blocks = ours.get(THINKING_BLOCKS) if isinstance(ours, Mapping) else None
    found: list[tuple[int, Block]] = []
    for block in blocks if isinstance(blocks, list) else ():
        match block:
            case {
                "type": "thinking",
                "thinking": str(text),
                "signature": str(signature),
                "index": int(index),
            }:
                found.append((index, {"type": "thinking", "thinking": text, "signature": signature}))
            case {"type": "redacted_thinking", "data": str(data), "index": int(index)}:
                found.append((index, {"type": "redacted_thinking", "data": data}))
    return sorted(found, key=lambda each: each[0])


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


def _image(image: Image) -> Block:
    if image.url:
        return {"type": "image", "source": {"type": "url", "url": image.url}}
    if image.media_type not in _IMAGE_TYPES:
        raise InvalidRequest(
            f"'{image.where}': Anthropic takes pictures as JPEG, PNG, GIF or WebP only.", param=image.where
        )
    source = {"type": "base64", "media_type": image.media_type, "data": image.data}
    return {"type": "image", "source": source}


def _tool_id(call_id: str) -> str:
    """The id as Anthropic accepts it; models of other providers use more characters in theirs."""
    if _ID.fullmatch(call_id):
        return call_id
    return f"call_{blake2b(call_id.encode(), digest_size=16).hexdigest()}"
