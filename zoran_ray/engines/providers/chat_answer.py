"""OpenAI's chat.completion and chat.completion.chunk objects, as translated answers are put together.

Knows no provider.

Source: `CreateChatCompletionResponse`, `CreateChatCompletionStreamResponse` and `CompletionUsage` of
OpenAI's API description. `reasoning` and `extra_content` are additions: the text of what the model thought,
and what its provider wants to see again with the next request.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from zoran_ray.errors import UpstreamError

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]
Chunk = dict[str, Any]

DONE = b"data: [DONE]\n\n"
"""The last event of every stream."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What an answer cost.

    Attributes:
        prompt: All prompt tokens, cached ones included.
        completion: All tokens generated, reasoning included.
        cached: The part of `prompt` that was read from the provider's cache.
        written: The part of `prompt` that was written to it.
        reasoning: The part of `completion` that was reasoning.
    """

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    written: int = 0
    reasoning: int = 0

    def told(self) -> dict[str, Any]:
        """As OpenAI's `usage`."""
        read = {"cached_tokens": self.cached}
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
            "prompt_tokens_details": read | ({"cache_write_tokens": self.written} if self.written else {}),
            "completion_tokens_details": {"reasoning_tokens": self.reasoning},
        }


@dataclass(frozen=True, slots=True)
class Head:
    """What all objects of one answer share.

    Attributes:
        created: Unix time in seconds.
    """

    answer_id: str
    model: str
    created: int

    def completion(self, choices: Sequence[Mapping[str, Any]], tokens: Tokens) -> dict[str, Any]:
        """The whole answer."""
        return self._object("chat.completion", choices) | {"usage": tokens.told()}

    def delta(self, delta: Mapping[str, Any], index: int = 0, logprobs: Any = None) -> Chunk:
        """A chunk that goes on with choice `index`."""
        choice = {"index": index, "delta": delta, "finish_reason": None}
        return self._chunk([choice | ({"logprobs": logprobs} if logprobs else {})])

    def end(self, reason: FinishReason, index: int = 0) -> Chunk:
        """The last chunk of choice `index`."""
        return self._chunk([{"index": index, "delta": {}, "finish_reason": reason}])

    def usage(self, tokens: Tokens) -> Chunk:
        """The last chunk of all."""
        return self._chunk([]) | {"usage": tokens.told()}

    def _chunk(self, choices: Sequence[Mapping[str, Any]]) -> Chunk:
        return self._object("chat.completion.chunk", choices)

    def _object(self, kind: str, choices: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        named = {"id": self.answer_id, "object": kind, "created": self.created, "model": self.model}
        return {**named, "choices": choices}


def choice(
    reason: FinishReason,
    *,
    texts: Sequence[str],
    thoughts: Sequence[str] = (),
    calls: Sequence[Mapping[str, Any]] = (),
    refusal: str | None = None,
    extra: Mapping[str, Any] | None = None,
    index: int = 0,
    logprobs: Any = None,
) -> dict[str, Any]:
    """One choice of a whole answer.

    Args:
        texts: Of the answer, joined without anything in between.
        thoughts: Of the reasoning, likewise.
        calls: Made by `tool_call`.
        extra: Becomes `extra_content`.
    """
    text = "".join(texts)
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": refusal}
    if not text and (calls or refusal):
        message["content"] = None
    if thought := "".join(thoughts):
        message["reasoning"] = thought
    if calls:
        message["tool_calls"] = list(calls)
    if extra:
        message["extra_content"] = extra
    return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": reason}


def tool_call(
    call_id: str, name: str, arguments: str, extra: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A call of a function. In a chunk it needs an `index` besides."""
    function = {"name": name, "arguments": arguments}
    call: dict[str, Any] = {"id": call_id, "type": "function", "function": function}
    return call | ({"extra_content": extra} if extra else {})


def json_text(value: Any) -> str:
    """A value of an answer as JSON. Raises: UpstreamError if it is nested too deep to be written."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        # Without its cause, which may show the value.
        raise UpstreamError("The provider's answer is nested too deep. Try again.") from None


def event(chunk: Chunk) -> bytes:
    """A chunk as server-sent event."""
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def count(holder: Any, name: str) -> int:
    """A token count of an answer, 0 if it states none."""
    value = holder.get(name) if isinstance(holder, Mapping) else None
    return value if type(value) is int and value > 0 else 0
