"""Where the pieces of texts are in the events of each dialect, and how a piece is put in. Knows no bytes.

Source: OpenAI's `ChatCompletionChunk`, `Completion` and `ResponseStreamEvent`; Anthropic's "Streaming
messages". Members that are not known here are taken for texts too, if they are strings.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

from zoran_ray.errors import UpstreamError
from zoran_ray.wire.texts import Change, with_answer_changed

MAX_TEXTS = 4096
"""Texts that are in the making at once: 16 choices with all their tool calls are far fewer."""

Key = tuple[Any, ...]
Document = dict[str, Any]


class Streamed(Protocol):
    """What is done with one text that comes in pieces."""

    def feed(self, piece: str) -> str:
        """What can be said after one more piece."""
        ...

    def finish(self) -> str:
        """What was held back."""
        ...


class Pieces(ABC):
    """The texts of one stream.

    Args:
        change: What is done with a text that comes whole.
        streamed: Makes what is done with one in pieces; told whether it is JSON.
        json_content: The answer's own text is JSON too.
    """

    def __init__(self, change: Change, streamed: Callable[[bool], Streamed], json_content: bool) -> None:
        self._change = change
        self._streamed = streamed
        self._json_content = json_content
        self._texts: dict[Key, Streamed] = {}

    @abstractmethod
    def take(self, document: Document) -> tuple[list[Document], Document | None]:
        """Events to put before this one, and what it says now; None if nothing else than it did."""

    @abstractmethod
    def finish(self) -> list[Document]:
        """Events with what is still held back."""

    def _whole(self, value: Any) -> Any:
        return with_answer_changed(value, self._change, json_content=self._json_content)

    def _said(self, key: Key, piece: str, is_json: bool) -> str:
        text = self._texts.get(key)
        if text is None:
            if len(self._texts) >= MAX_TEXTS:
                raise UpstreamError("The engine sent more texts at once than an answer has. Try again.")
            text = self._texts[key] = self._streamed(is_json)
        return text.feed(piece)

    def _rest(self, key: Key) -> str:
        text = self._texts.pop(key, None)
        return text.finish() if text else ""

    def _rests(self, *beginning: Any) -> list[tuple[Key, str]]:
        """What is held back of all texts whose keys begin so; they are over."""
        keys = [key for key in self._texts if key[: len(beginning)] == beginning]
        return [(key, rest) for key in keys if (rest := self._rest(key))]


class ChoicePieces(Pieces):
    """Chat completions and completions. Keys: choice, member, and for a tool call its number and kind."""

    _head: Document = {}  # noqa: RUF012 - replaced, never changed

    def take(self, document: Document) -> tuple[list[Document], Document | None]:
        """As `Pieces.take`."""
        choices = document.get("choices")
        if not isinstance(choices, list):
            return self.finish() if "error" in document else [], None
        self._head = {name: each for name, each in document.items() if name not in ("choices", "usage")}
        told = [self._choice(each) if isinstance(each, dict) else each for each in choices]
        ended = [_number(each.get("index")) for each in told if _is_last(each)]
        before = [self._event(key, rest) for index in ended for key, rest in self._rests(index)]
        return before, None if told == choices else {**document, "choices": told}

    def finish(self) -> list[Document]:
        """As `Pieces.finish`."""
        return [self._event(key, rest) for key, rest in self._rests()]

    def _choice(self, choice: Document) -> Document:
        index, last = _number(choice.get("index")), bool(choice.get("finish_reason"))
        told = dict(choice)
        if isinstance(text := choice.get("text"), str):
            told["text"] = self._piece((index,), text, self._json_content, last)
        if isinstance(delta := choice.get("delta"), dict):
            told["delta"] = {name: self._member(index, name, each, last) for name, each in delta.items()}
        return told

    def _member(self, index: int, name: str, value: Any, last: bool) -> Any:
        if name == "role":
            return value
        if isinstance(value, str):
            return self._piece((index, name), value, self._json_content and name == "content", last)
        if name == "function_call" and isinstance(value, dict):
            return self._call((index, name, 0), value, last)
        if name == "tool_calls" and isinstance(value, list):
            return [self._tool_call(index, number, each, last) for number, each in enumerate(value)]
        return self._whole(value)

    def _tool_call(self, index: int, number: int, call: Any, last: bool) -> Any:
        if not isinstance(call, dict):
            return call
        number = _number(call.get("index", number))
        return {
            name: self._call((index, "tool_calls", number, name), each, last)
            if isinstance(each, dict)
            else each
            for name, each in call.items()
        }

    def _call(self, key: Key, call: Document, last: bool) -> Document:
        return {
            name: self._piece((*key, name), each, name == "arguments", last)
            if name in ("arguments", "input") and isinstance(each, str)
            else self._whole(each)
            for name, each in call.items()
        }

    def _piece(self, key: Key, piece: str, is_json: bool, last: bool) -> str:
        said = self._said(key, piece, is_json)
        return said + self._rest(key) if last else said

    def _event(self, key: Key, rest: str) -> Document:
        match key:
            case (_,):
                said: Document = {"text": rest}
            case (_, "tool_calls", number, name, member):
                said = {"delta": {"tool_calls": [{"index": number, name: {member: rest}}]}}
            case (_, "function_call", _, member):
                said = {"delta": {"function_call": {member: rest}}}
            case _:
                said = {"delta": {key[1]: rest}}
        choice = {"index": key[0], **said, "logprobs": None, "finish_reason": None}
        return {**self._head, "choices": [choice]}


class MessagePieces(Pieces):
    """Anthropic's messages. Keys: block, type of the delta, member."""

    def take(self, document: Document) -> tuple[list[Document], Document | None]:
        """As `Pieces.take`."""
        index, told = _number(document.get("index")), document
        before: list[Document] = []
        match document.get("type"):
            case "content_block_start":
                told = self._changed(document, "content_block", index)
            case "content_block_delta":
                told = self._changed(document, "delta", index)
            case "content_block_stop":
                before = [_block(key, rest) for key, rest in self._rests(index)]
            case "message_start":
                told = self._whole(document)
            case "message_delta" | "message_stop" | "error":
                before = self.finish()
        return before, None if told == document else told

    def finish(self) -> list[Document]:
        """As `Pieces.finish`."""
        return [_block(key, rest) for key, rest in self._rests()]

    def _changed(self, document: Document, holder: str, index: int) -> Document:
        held = document.get(holder)
        if not isinstance(held, dict):
            return document
        told = {name: self._member(index, name, each) for name, each in held.items()}
        return {**document, holder: told}

    def _member(self, index: int, name: str, value: Any) -> Any:
        if name in ("text", "thinking", "partial_json") and isinstance(value, str):
            return self._said((index, name), value, name == "partial_json")
        return value if name in ("type", "id", "name", "signature") else self._whole(value)


def _block(key: Key, rest: str) -> Document:
    index, member = key
    kind = "input_json_delta" if member == "partial_json" else f"{member}_delta"
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, member: rest}}


class ResponsePieces(Pieces):
    """OpenAI's responses. Keys: item, what is streamed, part. Events behind those put in count on."""

    _ends = frozenset(f"response.{end}" for end in ("completed", "incomplete", "failed")) | {"error"}

    def __init__(self, change: Change, streamed: Callable[[bool], Streamed], json_content: bool) -> None:
        super().__init__(change, streamed, json_content)
        self._last: dict[Key, Document] = {}
        self._number = 0
        self._added = 0

    def take(self, document: Document) -> tuple[list[Document], Document | None]:
        """As `Pieces.take`."""
        kind = str(document.get("type"))
        self._number = _number(document.get("sequence_number"))
        what, _, event = kind.rpartition(".")
        part = document.get("content_index"), document.get("summary_index")
        key = (_number(document.get("output_index")), what, *map(_number, part))
        if event == "delta" and isinstance(piece := document.get("delta"), str):
            is_json = "arguments" in what or (self._json_content and what.endswith("output_text"))
            self._last[key] = document
            told = {**document, "delta": self._said(key, piece, is_json)}
            before: list[Document] = []
        else:
            told, before = self._whole(document), self._ended(kind, key)
        if self._added and "sequence_number" in document:
            told = {**told, "sequence_number": self._number + self._added}
        return before, None if told == document else told

    def finish(self) -> list[Document]:
        """As `Pieces.finish`."""
        self._number += 1
        return self._events(self._rests())

    def _ended(self, kind: str, key: Key) -> list[Document]:
        if kind in self._ends:
            rests = self._rests()
        elif kind.endswith(".done"):
            rests = self._rests(key[0]) if kind == "response.output_item.done" else self._rests(*key)
        else:
            return []
        events = self._events(rests)
        self._last = {key: last for key, last in self._last.items() if key in self._texts}
        return events

    def _events(self, rests: list[tuple[Key, str]]) -> list[Document]:
        events = []
        for key, rest in rests:
            number = self._number + self._added
            events.append({**self._last[key], "delta": rest, "sequence_number": number})
            self._added += 1
        return events


def _number(value: Any) -> int:
    return value if type(value) is int else 0


def _is_last(choice: Any) -> bool:
    return isinstance(choice, dict) and bool(choice.get("finish_reason"))
