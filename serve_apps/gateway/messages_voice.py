"""A strategy's answer as one of Anthropic's messages: each thought is a `thinking` block.

Their signatures are empty: nobody signed them, and they need not come back.
Source: Anthropic's "Messages" and "Streaming messages".
"""

from collections.abc import Iterator

from serve_apps.gateway.thinking_voice import Document, Head, Told, about, thought
from zoran_ray.reasoning.trace import Step
from zoran_ray.wire import Usage


class MessagesVoice:
    """See `thinking_voice.Voice`."""

    def __init__(self, head: Head) -> None:
        self._head = head
        self._block = 0

    def begin(self) -> Iterator[Document]:
        """Who speaks."""
        message = {**self._members(), "content": [], "stop_reason": None, "stop_sequence": None}
        yield {"type": "message_start", "message": {**message, "usage": _usage(Usage())}}

    def step(self, step: Step) -> Iterator[Document]:
        """One block; a step without words is a block without words, so that a tree can be drawn."""
        block = {"type": "thinking", "thinking": "", "signature": ""}
        delta = {"type": "thinking_delta", "thinking": thought(step)}
        yield from self._one_block(block, delta, {"zoran": about(step)})

    def end(self, told: Told) -> Iterator[Document]:
        """The answer's block, and how it ended."""
        delta = {"type": "text_delta", "text": told.answer.text}
        yield from self._one_block({"type": "text", "text": ""}, delta, {})
        ended = {"stop_reason": _stop(told), "stop_sequence": None}
        yield {
            "type": "message_delta",
            "delta": ended,
            "usage": _usage(told.usage),
            "zoran": told.zoran,
        }
        yield {"type": "message_stop"}

    def whole(self, told: Told) -> Document:
        """The body."""
        thinking = [
            {"type": "thinking", "thinking": text, "signature": "", "zoran": about(step)}
            for step in told.steps
            if (text := thought(step))
        ]
        content = [*thinking, {"type": "text", "text": told.answer.text}]
        ended = {"stop_reason": _stop(told), "stop_sequence": None}
        return {
            **self._members(),
            "content": content,
            **ended,
            "usage": _usage(told.usage),
            "zoran": told.zoran,
        }

    def _one_block(self, block: Document, delta: Document, more: Document) -> Iterator[Document]:
        index, self._block = self._block, self._block + 1
        yield {"type": "content_block_start", "index": index, "content_block": block, **more}
        yield {"type": "content_block_delta", "index": index, "delta": delta, **more}
        yield {"type": "content_block_stop", "index": index}

    def _members(self) -> Document:
        head = self._head
        return {"id": f"msg_{head.hex}", "type": "message", "role": "assistant", "model": head.model}


def _stop(told: Told) -> str:
    return "max_tokens" if told.cut else "end_turn"


def _usage(usage: Usage) -> Document:
    """Anthropic's `input_tokens` leave out what came from the cache."""
    return {
        "input_tokens": usage.prompt_tokens - usage.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.completion_tokens,
    }
