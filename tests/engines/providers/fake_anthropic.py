"""What Anthropic's Messages API answers, whole and as events.

Source: https://platform.claude.com/docs/en/build-with-claude/streaming and the `anthropic` SDK's types,
with which the tests check these.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

MODEL = "claude-opus-5-5"
USAGE = {
    "input_tokens": 12,
    "cache_creation_input_tokens": 3,
    "cache_read_input_tokens": 5,
    "output_tokens": 9,
    "output_tokens_details": {"thinking_tokens": 4},
}


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said, "citations": None}


def thinking(thought: str, signature: str = "c2ln") -> dict[str, Any]:
    return {"type": "thinking", "thinking": thought, "signature": signature}


def redacted(data: str = "ZGF0YQ==") -> dict[str, Any]:
    return {"type": "redacted_thinking", "data": data}


def tool_use(call_id: str, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def message(*blocks: dict[str, Any], stop: str | None = "end_turn", **more: Any) -> dict[str, Any]:
    return {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": list(blocks),
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": USAGE,
        **more,
    }


def error(kind: str, said: str = "Overloaded") -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": said}, "request_id": "req_01"}


def events(whole: dict[str, Any], sizes: Sequence[int] = (1000,)) -> list[dict[str, Any]]:
    """The events that tell this message, its texts cut into pieces of these sizes, over and over."""
    begun = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}
    told = [{"type": "message_start", "message": begun}, {"type": "ping"}]
    for index, block in enumerate(whole["content"]):
        told += _block(index, block, _lengths(sizes))
    delta = {name: whole.get(name) for name in ("stop_reason", "stop_sequence", "stop_details")}
    # Later counts are cumulative and may leave out those of the prompt.
    usage = {"output_tokens": whole["usage"]["output_tokens"]}
    if details := whole["usage"].get("output_tokens_details"):
        usage["output_tokens_details"] = details
    told.append({"type": "message_delta", "delta": delta, "usage": usage})
    return [*told, {"type": "message_stop"}]


def encoded(told: Iterable[dict[str, Any]]) -> bytes:
    """Events as bytes."""
    return b"".join(
        f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()
        for event in told
    )


def _block(index: int, block: dict[str, Any], lengths: Iterator[int]) -> list[dict[str, Any]]:
    empty, deltas = dict(block), []
    match block:
        case {"type": "text", "text": said}:
            empty["text"] = ""
            deltas = [{"type": "text_delta", "text": piece} for piece in _pieces(said, lengths)]
        case {"type": "thinking", "thinking": thought, "signature": signature}:
            empty |= {"thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in _pieces(thought, lengths)]
            deltas.append({"type": "signature_delta", "signature": signature})
        case {"type": "tool_use", "input": arguments}:
            empty["input"] = {}
            whole = json.dumps(arguments, ensure_ascii=False) if arguments else ""
            pieces = ["", *_pieces(whole, lengths)]
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    return [
        {"type": "content_block_start", "index": index, "content_block": empty},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def _lengths(sizes: Sequence[int]) -> Iterator[int]:
    while True:
        yield from sizes


def _pieces(whole: str, lengths: Iterator[int]) -> list[str]:
    pieces = []
    while whole:
        size = next(lengths)
        pieces.append(whole[:size])
        whole = whole[size:]
    return pieces
