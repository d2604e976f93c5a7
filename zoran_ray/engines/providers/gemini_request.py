"""OpenAI's chat body → the body of Gemini's generateContent. Pure; knows no HTTP.

What differs, and what is made of it:
- One system instruction: the texts of all messages of the system and the developer.
- Adjacent messages of one side become one turn; all results of one answer's calls must share a turn, and
  they stand apart from what the user says next.
- A call can be forced or forbidden, but not limited to one: `parallel_tool_calls: false` is refused.
  `strict` tools make Gemini validate every call (mode VALIDATED).
- `reasoning_effort` becomes the nearest thinking level there is; up to Gemini 2.5 a budget of tokens, with
  the figures of Google's own OpenAI-compatible endpoint. `thinking_token_budget`, vLLM's name, is passed
  on.
- Thoughts are signed and have to come back with tool results: see `SIGNATURE`.

Source: https://ai.google.dev/api/generate-content, https://ai.google.dev/gemini-api/docs/function-calling,
https://ai.google.dev/gemini-api/docs/openai, https://ai.google.dev/gemini-api/docs/file-input-methods.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath
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
from zoran_ray.engines.providers.parameters import Parameters, wrong
from zoran_ray.engines.providers.tools import ToolUse, read_tools
from zoran_ray.errors import InvalidRequest

VENDOR = "google"
SIGNATURE = "thought_signature"
"""Where signatures travel, as at Google's own OpenAI-compatible endpoint: `extra_content.google` of a tool
call or of an assistant's message.
Source: https://ai.google.dev/gemini-api/docs/thought-signatures."""

_NO_SIGNATURE = "skip_thought_signature_validator"
"""From Gemini 3 on a call without a signature is refused; this stands in for one where the call came from
another model or the client did not keep it. Source: the same page, questions and answers."""

_MOST_STOPS = 5
_MOST_CANDIDATES = 8
_MOST_LOGPROBS = 20
_EVERY_INT64 = -(2**63)
_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192}
_MOST_BUDGET = 24_576
_LEVELS = {"minimal": "minimal", "low": "low", "medium": "medium"}
_SUFFIXES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".heic": "image/heic",
    ".heif": "image/heif",
}

Part = dict[str, Any]


def gemini_body(document: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The body to send; that the answer shall be streamed is said by the URL.

    Args:
        document: OpenAI's chat body.
        model: Gemini's name of the model, without `models/`.

    Raises:
        InvalidRequest: The body is not OpenAI's, or asks for what Gemini does not have.
    """
    asked = Parameters(document, "Gemini")
    older = model.startswith(("gemini-1", "gemini-2"))
    conversation = read_conversation(asked.take("messages"))
    body: dict[str, Any] = {"contents": _turns(conversation, signed=not older)}
    if conversation.system:
        body["systemInstruction"] = {"parts": [{"text": text} for text in conversation.system]}
    body |= _tools(read_tools(asked), asked)
    if settings := _sampling(asked) | _logprobs(asked) | _thinking(asked, older) | _format(asked):
        body["generationConfig"] = settings
    asked.refuse_rest()
    return body


def _sampling(asked: Parameters) -> dict[str, Any]:
    candidates = asked.integer("n", 1)
    if (candidates or 1) > _MOST_CANDIDATES:
        raise asked.refusal("n", f"takes at most {_MOST_CANDIDATES}")
    found = {
        "temperature": asked.number("temperature", 0, 2),
        "topP": asked.number("top_p", 0, 1),
        "topK": asked.top_k(),
        "presencePenalty": asked.number("presence_penalty", -2, 2),
        "frequencyPenalty": asked.number("frequency_penalty", -2, 2),
        "seed": asked.integer("seed", _EVERY_INT64),
        "maxOutputTokens": asked.output_limit(),
        "stopSequences": asked.stops(_MOST_STOPS) or None,
        "candidateCount": candidates,
    }
    return {name: value for name, value in found.items() if value is not None}


def _logprobs(asked: Parameters) -> dict[str, Any]:
    wanted, alternatives = asked.flag("logprobs"), asked.integer("top_logprobs", 0)
    if alternatives and not wanted:
        raise wrong("logprobs", "true where 'top_logprobs' is set")
    if (alternatives or 0) > _MOST_LOGPROBS:
        raise asked.refusal("top_logprobs", f"takes at most {_MOST_LOGPROBS}")
    if not wanted:
        return {}
    return {"responseLogprobs": True} | ({"logprobs": alternatives} if alternatives else {})


def _thinking(asked: Parameters, older: bool) -> dict[str, Any]:
    effort, budget = asked.effort(), asked.integer("thinking_token_budget", 0)
    if effort is not None and budget is not None:
        raise asked.refusal("thinking_token_budget", "takes either this or 'reasoning_effort'")
    if effort is None and budget is None:
        return {}
    if effort is not None and not older:
        if effort == "none":
            raise asked.refusal("reasoning_effort", "cannot stop this model from thinking; ask for minimal")
        return {"thinkingConfig": {"thinkingLevel": _LEVELS.get(effort, "high"), "includeThoughts": True}}
    if effort is not None:
        budget = _BUDGETS.get(effort, _MOST_BUDGET)
    return {"thinkingConfig": {"thinkingBudget": budget, "includeThoughts": budget != 0}}


def _format(asked: Parameters) -> dict[str, Any]:
    wanted = asked.json_format()
    if wanted is None:
        return {}
    json = {"responseMimeType": "application/json"}
    return json if wanted.schema is None else json | {"responseJsonSchema": wanted.schema}


def _tools(use: ToolUse, asked: Parameters) -> dict[str, Any]:
    if not use.tools:
        return {}
    if not use.parallel and use.mode != "none":
        raise asked.refusal("parallel_tool_calls", "cannot be limited to one call")
    declared = []
    for tool in use.tools:
        told: dict[str, Any] = {"name": tool.name, "parametersJsonSchema": tool.parameters}
        declared.append(told | ({"description": tool.description} if tool.description else {}))
    calling: dict[str, Any] = {"mode": _mode(use)}
    if use.named is not None:
        calling["allowedFunctionNames"] = [use.named]
    return {
        "tools": [{"functionDeclarations": declared}],
        "toolConfig": {"functionCallingConfig": calling},
    }


def _mode(use: ToolUse) -> str:
    if use.mode == "auto" and any(tool.strict for tool in use.tools):
        return "VALIDATED"
    return {"auto": "AUTO", "none": "NONE", "required": "ANY"}[use.mode]


def _turns(conversation: Conversation, signed: bool) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = []
    before: type | None = None
    for message in conversation.messages:
        parts = _parts(message, signed)
        if turns and before is type(message):
            turns[-1]["parts"] += parts
        elif parts:
            role = "model" if isinstance(message, AssistantMessage) else "user"
            turns.append({"role": role, "parts": parts})
            before = type(message)
    return turns


def _parts(message: UserMessage | AssistantMessage | ToolMessage, signed: bool) -> list[Part]:
    match message:
        case UserMessage(parts):
            return [{"text": each.text} if isinstance(each, Text) else _image(each) for each in parts]
        case ToolMessage(call_id, name, text):
            answer = {"id": call_id, "name": name, "response": {"output": text}}
            return [{"functionResponse": answer}]
        case AssistantMessage():
            return _said(message) + _called(message, signed)


def _said(message: AssistantMessage) -> list[Part]:
    parts: list[Part] = [{"text": text} for text in message.texts]
    if parts and (signature := _signature(message.extra)):
        parts[-1]["thoughtSignature"] = signature
    return parts


def _called(message: AssistantMessage, signed: bool) -> list[Part]:
    parts: list[Part] = []
    for call in message.calls:
        part = {"functionCall": {"id": call.call_id, "name": call.name, "args": call.arguments}}
        signature = _signature(call.extra)
        parts.append(part | ({"thoughtSignature": signature} if signature else {}))
    if signed and parts and not any("thoughtSignature" in part for part in parts):
        parts[0]["thoughtSignature"] = _NO_SIGNATURE
    return parts


def _signature(extra: Mapping[str, Any]) -> str:
    ours = extra.get(VENDOR)
    signature = ours.get(SIGNATURE) if isinstance(ours, Mapping) else None
    return signature if isinstance(signature, str) else ""


def _image(image: Image) -> Part:
    if image.url:
        path = PurePosixPath(image.url.partition("?")[0])
        kind = _SUFFIXES.get(path.suffix.lower())
        return {"fileData": {"fileUri": image.url} | ({"mimeType": kind} if kind else {})}
    if not image.media_type.startswith("image/"):
        raise InvalidRequest(f"'{image.where}' must be of a type image/….", param=image.where)
    return {"inlineData": {"mimeType": image.media_type, "data": image.data}}
