"""A strategy's answer as one of OpenAI's responses: each thought is a reasoning item.

Source: OpenAI's `Response` and `ResponseStreamEvent`.
"""

from collections.abc import Iterator

from serve_apps.gateway.thinking_voice import Document, Head, Heard, Told, about, about_piece, thought
from zoran_ray.reasoning.trace import Piece, Step
from zoran_ray.wire import Usage


class ResponsesVoice:
    """See `thinking_voice.Voice`."""

    def __init__(self, head: Head) -> None:
        self._head = head
        self._number = 0
        self._items: list[Document] = []
        self._heard = Heard()
        self._open: Document | None = None

    def begin(self) -> Iterator[Document]:
        """The response, still empty."""
        for kind in ("created", "in_progress"):
            yield self._event(kind, response=self._response("in_progress", []))

    def piece(self, piece: Piece) -> Iterator[Document]:
        """Some more of an item, which it begins if it is the first."""
        more = {"zoran": about_piece(piece)}
        if self._heard.piece(piece):
            yield from self._closed()
            self._open = _item(self._head, piece.id, "", more["zoran"])
            yield from self._begun(self._open, more)
        assert self._open is not None
        self._open["content"][0]["text"] += piece.text
        yield self._delta("reasoning_text", piece.text, more, self._open["id"])

    def step(self, step: Step) -> Iterator[Document]:
        """One item; a step without words is an item without words, so that a tree can be drawn."""
        rest, item, more = self._heard.rest(step), self._open, {"zoran": about(step)}
        if rest is None or item is None:
            yield from self._closed()
            yield from self._one_item(_reasoning(self._head, step), "reasoning_text")
            return
        item["content"][0]["text"] += rest
        yield self._delta("reasoning_text", rest, more, item["id"])
        self._open = item | more
        yield from self._closed()

    def end(self, told: Told) -> Iterator[Document]:
        """The answer's item, and the whole response."""
        yield from self._closed()
        yield from self._one_item(_message(self._head, told), "output_text")
        kind = "incomplete" if told.cut else "completed"
        yield self._event(kind, response=self._ended(told, self._items))

    def whole(self, told: Told) -> Document:
        """The body."""
        thoughts = [_reasoning(self._head, step) for step in told.steps if thought(step)]
        return self._ended(told, [*thoughts, _message(self._head, told)])

    def _one_item(self, item: Document, what: str) -> Iterator[Document]:
        own = _own(item)
        yield from self._begun(item, own)
        yield self._delta(what, item["content"][0]["text"], own, item["id"])
        yield from self._ended_item(item, what)

    def _closed(self) -> Iterator[Document]:
        """Ends the item of a thought that was heard, if one is open."""
        item, self._open = self._open, None
        if item is not None:
            yield from self._ended_item(item, "reasoning_text")

    def _begun(self, item: Document, own: Document) -> Iterator[Document]:
        part, begun = item["content"][0], {**item, "content": [], "status": "in_progress"}
        yield self._event("output_item.added", output_index=len(self._items), item=begun, **own)
        yield self._event("content_part.added", **self._at(item["id"]), part={**part, "text": ""})

    def _delta(self, what: str, text: str, own: Document, item_id: str) -> Document:
        return self._event(f"{what}.delta", **self._at(item_id), delta=text, **_logprobs(what), **own)

    def _ended_item(self, item: Document, what: str) -> Iterator[Document]:
        part, at = item["content"][0], self._at(item["id"])
        yield self._event(f"{what}.done", **at, text=part["text"], **_logprobs(what))
        yield self._event("content_part.done", **at, part=part)
        yield self._event("output_item.done", output_index=len(self._items), item=item, **_own(item))
        self._items.append(item)

    def _at(self, item_id: str) -> Document:
        return {"item_id": item_id, "output_index": len(self._items), "content_index": 0}

    def _event(self, kind: str, **members: object) -> Document:
        number, self._number = self._number, self._number + 1
        return {"type": f"response.{kind}", "sequence_number": number, **members}

    def _ended(self, told: Told, items: list[Document]) -> Document:
        cut = {"incomplete_details": {"reason": "max_output_tokens"}} if told.cut else {}
        told_of = {"usage": _usage(told.usage), "zoran": told.zoran}
        return {**self._response("incomplete" if told.cut else "completed", items), **cut, **told_of}

    def _response(self, status: str, items: list[Document]) -> Document:
        head = self._head
        return {
            "id": f"resp_{head.hex}",
            "object": "response",
            "created_at": head.created,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "model": head.model,
            "output": items,
            "parallel_tool_calls": False,
            "temperature": None,
            "tool_choice": "none",
            "tools": [],
            "top_p": None,
            "usage": None,
        }


def _reasoning(head: Head, step: Step) -> Document:
    return _item(head, step.id, thought(step), about(step))


def _item(head: Head, number: int, text: str, zoran: Document) -> Document:
    return {
        "id": f"rs_{head.hex}_{number}",
        "type": "reasoning",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": text}],
        "status": "completed",
        "zoran": zoran,
    }


def _own(item: Document) -> Document:
    return {"zoran": item["zoran"]} if "zoran" in item else {}


def _logprobs(what: str) -> Document:
    return {"logprobs": []} if what == "output_text" else {}


def _message(head: Head, told: Told) -> Document:
    part = {"type": "output_text", "text": told.answer.text, "annotations": [], "logprobs": []}
    return {
        "id": f"msg_{head.hex}",
        "type": "message",
        "role": "assistant",
        "status": "incomplete" if told.cut else "completed",
        "content": [part],
    }


def _usage(usage: Usage) -> Document:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.total_tokens,
    }
