"""Anthropic's stream events → OpenAI's chunks. A small state machine; knows no HTTP and no framing.

    message_start → (content_block_start → content_block_delta* → content_block_stop)*
                  → message_delta+ → message_stop        with ping and unknown events anywhere

Source: https://platform.claude.com/docs/en/build-with-claude/streaming: token counts of `message_delta` are
cumulative, arguments of a call arrive as pieces of one JSON text, an `error` event ends the stream.
"""

from collections.abc import Callable, Mapping
from typing import Any

from zoran_ray.engines.providers.anthropic_answer import finish, head, refusal, thinking_extra, tokens
from zoran_ray.engines.providers.chat_answer import Chunk, Head, Tokens, json_text, tool_call
from zoran_ray.errors import UpstreamError, ZoranError


class AnthropicStream:
    """One answer in the making. Feed it the events; send on the chunks it gives back.

    Args:
        created: Unix time in seconds.
        failure: Makes an error of an `error` event.

    Attributes:
        finished: `message_stop` was seen; without it the answer was cut.
    """

    def __init__(self, created: int, failure: Callable[[object], ZoranError]) -> None:
        self._created = created
        self._failure = failure
        self._head: Head | None = None
        self._usage: dict[str, Any] = {}
        self._stop: Mapping[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._calls = 0
        self.finished = False

    @property
    def counted(self) -> Tokens | None:
        """What Anthropic has counted so far: the prompt from the beginning, the answer at its end."""
        return tokens(self._usage) if self._usage else None

    def feed(self, event: Any) -> list[Chunk]:
        """The chunks an event amounts to, possibly none.

        Raises:
            ProviderBusy: Anthropic ends the stream because it is overloaded.
            UpstreamError: It ends it for another reason, or the stream is none of Anthropic's.
        """
        if not isinstance(event, Mapping) or self.finished:
            raise _nonsense()
        kind = event.get("type")
        if kind == "error":
            raise self._failure(event)
        if kind == "message_start":
            return self._start(event.get("message"))
        if kind == "message_delta":
            return self._delta_of_message(event)
        if kind == "message_stop":
            return self._end()
        if kind in ("content_block_start", "content_block_delta", "content_block_stop"):
            return self._block(kind, event)
        return []

    def close(self) -> list[Chunk]:
        """Nothing follows the end of the stream. Raises: UpstreamError if it came before `message_stop`."""
        if not self.finished:
            raise UpstreamError("Anthropic's answer broke off before its end. Try again.")
        return []

    def _start(self, message: Any) -> list[Chunk]:
        if not isinstance(message, Mapping) or self._head:
            raise _nonsense()
        self._head = head(message, self._created)
        self._count(message.get("usage"))
        return [self._head.delta({"role": "assistant", "content": ""})]

    def _delta_of_message(self, event: Mapping[str, Any]) -> list[Chunk]:
        self._count(event.get("usage"))
        delta = event.get("delta")
        if isinstance(delta, Mapping) and delta.get("stop_reason") is not None:
            self._stop = delta
        return []

    def _count(self, usage: Any) -> None:
        """Later counts replace earlier ones; `message_delta` may leave out those of the prompt."""
        if isinstance(usage, Mapping):
            self._usage.update((name, value) for name, value in usage.items() if value is not None)

    def _end(self) -> list[Chunk]:
        begun, reason = self._begun(), self._stop.get("stop_reason")
        self.finished = True
        why = refusal(reason, self._stop.get("stop_details"))
        chunks = [begun.delta({"refusal": why})] if why else []
        return [*chunks, begun.end(finish(reason)), begun.usage(tokens(self._usage))]

    def _block(self, kind: str, event: Mapping[str, Any]) -> list[Chunk]:
        index = event.get("index")
        if type(index) is not int or (index in self._blocks) == (kind == "content_block_start"):
            raise _nonsense()
        if kind == "content_block_start":
            return self._open_block(index, event.get("content_block"))
        if kind == "content_block_stop":
            return self._close_block(index, self._blocks.pop(index))
        return self._delta_of_block(self._blocks[index], event.get("delta"))

    def _open_block(self, index: int, block: Any) -> list[Chunk]:
        if not isinstance(block, Mapping):
            raise _nonsense()
        self._blocks[index] = held = dict(block)
        match held:
            case {"type": "text", "text": str(text)} if text:
                return [self._begun().delta({"content": text})]
            case {"type": "thinking", "thinking": str(text)}:
                held["pieces"] = [text]
                return [self._begun().delta({"reasoning": text})] if text else []
            case {"type": "tool_use", "id": str(call_id), "name": str(name)}:
                held["call"] = self._calls
                self._calls += 1
                call = {"index": held["call"], **tool_call(call_id, name, "")}
                return [self._begun().delta({"tool_calls": [call]})]
            case {"type": "tool_use"}:
                raise _nonsense()
        return []

    def _delta_of_block(self, held: dict[str, Any], delta: Any) -> list[Chunk]:
        begun = self._begun()
        match delta:
            case {"type": "text_delta", "text": str(text)}:
                return [begun.delta({"content": text})] if text else []
            case {"type": "thinking_delta", "thinking": str(text)}:
                held.setdefault("pieces", []).append(text)
                return [begun.delta({"reasoning": text})] if text else []
            case {"type": "signature_delta", "signature": str(signature)}:
                held["signature"] = signature
                return []
            case {"type": "input_json_delta", "partial_json": str(text)} if text and "call" in held:
                held["argued"] = True
                return [self._arguments(held["call"], text)]
        return []

    def _close_block(self, index: int, held: dict[str, Any]) -> list[Chunk]:
        if "call" in held and "argued" not in held:
            # A call without arguments has no deltas; OpenAI's clients parse what they get.
            return [self._arguments(held["call"], json_text(held.get("input") or {}))]
        if held.get("type") not in ("thinking", "redacted_thinking"):
            return []
        if "pieces" in held:
            held["thinking"] = "".join(held.pop("pieces"))
        return [self._begun().delta({"extra_content": thinking_extra([{**held, "index": index}])})]

    def _arguments(self, call: int, text: str) -> Chunk:
        return self._begun().delta({"tool_calls": [{"index": call, "function": {"arguments": text}}]})

    def _begun(self) -> Head:
        if self._head is None:
            raise _nonsense()
        return self._head


def _nonsense() -> UpstreamError:
    return UpstreamError("Anthropic sent a stream that is not one of its own. Try again.")
