"""What vLLM answers ↔ what OpenAI's description allows. Knows whole bodies; streams pass as they are.

vLLM writes every optional member, with null where there is nothing; strictly typed clients expect an
absent member instead, and a description that says "object" does not mean "or null".
"""

from typing import Any

import orjson

from zoran_ray.wire.endpoint import Endpoint

_NULL_HAS_A_MEANING = frozenset({"content", "refusal", "logprobs", "finish_reason", "bytes"})


def normalised(data: bytes, document: Any, endpoint: Endpoint) -> bytes:
    """The answer's bytes as OpenAI's description has them, or `data` itself where nothing differs.

    Members that are null for want of a value go; required members that vLLM leaves out are added.

    Args:
        data: What the engine sent.
        document: The same, parsed.

    Source: `CreateChatCompletionResponse`, `CreateCompletionResponse` and `Response` of that description.
    """
    if not isinstance(document, dict):
        return data
    if endpoint is Endpoint.RESPONSES:
        return data if "error" in document else orjson.dumps({**document, "error": None})
    if endpoint is Endpoint.CHAT_COMPLETIONS:
        if b"null" not in data and b'"logprobs":{' not in data:
            return data
        told = _without_nulls(document)
        for choice in told.get("choices", ()):
            if isinstance(logprobs := choice.get("logprobs"), dict):
                logprobs.setdefault("refusal", None)
        return orjson.dumps(told)
    if endpoint is Endpoint.COMPLETIONS and b"null" in data:
        return orjson.dumps(_without_nulls(document))
    return data


def _without_nulls(node: Any) -> Any:
    if isinstance(node, list):
        return [_without_nulls(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        name: value if name == "logprobs" else _without_nulls(value)
        for name, value in node.items()
        if value is not None or name in _NULL_HAS_A_MEANING
    }
