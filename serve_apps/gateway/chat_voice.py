"""A strategy's answer as a chat completion: thoughts as `reasoning`, as vLLM names it.

Source: OpenAI's `CreateChatCompletionResponse` and `CreateChatCompletionStreamResponse`.
"""

from collections.abc import Iterator

from serve_apps.gateway.thinking_voice import Document, Head, Heard, Told, about, about_piece, thought
from zoran_ray.reasoning.trace import Piece, Step


class ChatVoice:
    """See `thinking_voice.Voice`."""

    def __init__(self, head: Head) -> None:
        self._head = head
        self._heard = Heard()

    def begin(self) -> Iterator[Document]:
        """The first chunk, which says who speaks."""
        yield self._chunk({"role": "assistant", "content": ""})

    def piece(self, piece: Piece) -> Iterator[Document]:
        """One chunk."""
        self._heard.piece(piece)
        yield {**self._chunk({"reasoning": piece.text}), "zoran": about_piece(piece)}

    def step(self, step: Step) -> Iterator[Document]:
        """One chunk."""
        rest = self._heard.rest(step)
        text = thought(step) if rest is None else rest
        yield {**self._chunk({"reasoning": text} if text else {}), "zoran": about(step)}

    def end(self, told: Told) -> Iterator[Document]:
        """The answer, how it ended, and the usage where it is wanted."""
        yield self._chunk({"content": told.answer.text})
        yield {**self._chunk({}, _finish(told)), "zoran": told.zoran}
        if self._head.include_usage:
            yield {**self._chunk({}), "choices": [], "usage": told.usage.told()}

    def whole(self, told: Told) -> Document:
        """The body."""
        message = {"role": "assistant", "content": told.answer.text, "refusal": None}
        reasoning = told.reasoning
        if reasoning:
            message["reasoning"] = reasoning
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(told)}
        head = {**self._members("chat.completion"), "choices": [choice]}
        return {**head, "usage": told.usage.told(), "zoran": told.zoran}

    def _chunk(self, delta: Document, finish: str | None = None) -> Document:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**self._members("chat.completion.chunk"), "choices": [choice]}

    def _members(self, kind: str) -> Document:
        head = self._head
        return {
            "id": f"chatcmpl-{head.hex}",
            "object": kind,
            "created": head.created,
            "model": head.model,
        }


def _finish(told: Told) -> str:
    return "length" if told.cut else "stop"
