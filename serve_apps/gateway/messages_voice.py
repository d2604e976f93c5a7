"""A strategy's answer as one of Anthropic's messages: each thought is a `thinking` block.

Their signatures are empty: nobody signed them, and they need not come back.
Source: Anthropic's "Messages" and "Streaming messages".
"""

from collections.abc import Iterator

from serve_apps.gateway.thinking_voice import Document, Head, Heard, Told, about, about_piece, thought
from zoran_ray.reasoning.trace import Piece, Step
from zoran_ray.wire import Usage

_THINKING: Document = {"type": "thinking", "thinking": "", "signature": ""}


class MessagesVoice:
    """See `thinking_voice.Voice`."""

    def __init__(self, head: Head) -> None:
        self._head = head
        self._block = 0
        self._heard = Heard()
        self._open = False

    def begin(self) -> Iterator[Document]:
        """Who speaks."""
        message = {**self._members(), "content": [], "stop_reason": None, "stop_sequence": None}
        yield {"type": "message_start", "message": {**message, "usage": _usage(Usage())}}

    def piece(self, piece: Piece) -> Iterator[Document]:
        """Some more of a block, which it begins if it is the first."""
        more = {"zoran": about_piece(piece)}
        if self._heard.piece(piece):
            yield from self._closed()
            yield self._start(_THINKING, more)
            self._open = True
        yield self._delta(_thinking(piece.text), more)

    def step(self, step: Step) -> Iterator[Document]:
        """One block; a step without words is a block without words, so that a tree can be drawn."""
        rest, more = self._heard.rest(step), {"zoran": about(step)}
        if rest is None:
            yield from self._closed()
            yield from self._one_block(_THINKING, _thinking(thought(step)), more)
            return
        yield self._delta(_thinking(rest), more)
        yield from self._closed()

    def end(self, told: Told) -> Iterator[Document]:
        """The answer's block, and how it ended."""
        yield from self._closed()
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
        yield self._start(block, more)
        yield self._delta(delta, more)
        yield self._stop()

    def _closed(self) -> Iterator[Document]:
        """Ends the block of a thought that was heard, if one is open."""
        if self._open:
            self._open = False
            yield self._stop()

    def _start(self, block: Document, more: Document) -> Document:
        return {"type": "content_block_start", "index": self._block, "content_block": block, **more}

    def _delta(self, delta: Document, more: Document) -> Document:
        return {"type": "content_block_delta", "index": self._block, "delta": delta, **more}

    def _stop(self) -> Document:
        index, self._block = self._block, self._block + 1
        return {"type": "content_block_stop", "index": index}

    def _members(self) -> Document:
        head = self._head
        return {"id": f"msg_{head.hex}", "type": "message", "role": "assistant", "model": head.model}


def _thinking(text: str) -> Document:
    return {"type": "thinking_delta", "thinking": text}


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
