"""An answer of Anthropic's Messages API → OpenAI's chat.completion. Pure; knows no HTTP.

Blocks of text become one text without anything in between, so that an answer is the same whole and
streamed. Blocks of kinds that are not asked for here (server tools, documents) are left out, as
Anthropic's versioning policy wants unknown ones treated.

Source: https://platform.claude.com/docs/en/api/messages/create,
https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons.
"""

from collections.abc import Mapping
from typing import Any

from zoran_ray.engines.providers.anthropic_request import THINKING_BLOCKS, VENDOR
from zoran_ray.engines.providers.chat_answer import (
    FinishReason,
    Head,
    Tokens,
    choice,
    count,
    json_text,
    tool_call,
)
from zoran_ray.errors import UpstreamError

_FINISHES: dict[str, FinishReason] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def anthropic_completion(answer: Any, created: int) -> dict[str, Any]:
    """OpenAI's chat.completion.

    Args:
        answer: Anthropic's `Message`, of any JSON types.
        created: Unix time in seconds.

    Raises:
        UpstreamError: It is no such message.
    """
    if not isinstance(answer, Mapping) or not isinstance(blocks := answer.get("content"), list):
        raise _no_message()
    texts, thoughts, calls, signed = [], [], [], []
    for index, block in enumerate(blocks):
        match block:
            case {"type": "text", "text": str(text)}:
                texts.append(text)
            case {"type": "thinking", "thinking": str(thought)}:
                thoughts.append(thought)
                signed.append({**block, "index": index})
            case {"type": "redacted_thinking"}:
                signed.append({**block, "index": index})
            case {"type": "tool_use", "id": str(call_id), "name": str(name), "input": dict(given)}:
                calls.append(tool_call(call_id, name, json_text(given)))
            case {"type": "text" | "thinking" | "tool_use"}:
                raise _no_message()
    stop = answer.get("stop_reason")
    told = choice(
        finish(stop),
        texts=texts,
        thoughts=thoughts,
        calls=calls,
        refusal=refusal(stop, answer.get("stop_details")),
        extra=thinking_extra(signed),
    )
    return head(answer, created).completion([told], tokens(answer.get("usage")))


def head(message: Mapping[str, Any], created: int) -> Head:
    """Id and model of a `Message`."""
    answer_id, model = message.get("id"), message.get("model")
    if not isinstance(answer_id, str) or not isinstance(model, str):
        raise _no_message()
    return Head(answer_id, model, created)


def finish(stop_reason: object) -> FinishReason:
    """OpenAI's word for it. `end_turn`, `stop_sequence`, `pause_turn` and reasons yet to come: stop."""
    return _FINISHES.get(stop_reason, "stop") if isinstance(stop_reason, str) else "stop"


def refusal(stop_reason: object, details: object) -> str | None:
    """Why the model refused, if it did and says so."""
    if stop_reason != "refusal" or not isinstance(details, Mapping):
        return None
    explanation = details.get("explanation")
    return explanation if isinstance(explanation, str) and explanation else None


def thinking_extra(blocks: list[dict[str, Any]]) -> dict[str, Any]:
    """The `extra_content` that carries these thinking blocks; empty if there are none."""
    return {VENDOR: {THINKING_BLOCKS: blocks}} if blocks else {}


def tokens(usage: object) -> Tokens:
    """Anthropic's `input_tokens` are those neither read from nor written to the cache.

    Written ones are counted, and so priced, as ordinary prompt tokens. Anthropic takes 1.25 times the price
    of input for them, twice for the hour-long cache: budgets count that part too low.
    """
    read, written = count(usage, "cache_read_input_tokens"), count(usage, "cache_creation_input_tokens")
    details = usage.get("output_tokens_details") if isinstance(usage, Mapping) else None
    return Tokens(
        prompt=count(usage, "input_tokens") + read + written,
        completion=count(usage, "output_tokens"),
        cached=read,
        written=written,
        reasoning=count(details, "thinking_tokens"),
    )


def _no_message() -> UpstreamError:
    return UpstreamError("Anthropic answered something that is not a message. Try again.")
