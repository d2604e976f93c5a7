"""A strategy's answer as one of OpenAI's responses: each thought is a reasoning item.

Source: OpenAI's `Response` and `ResponseStreamEvent`.
"""

from collections.abc import Iterator

from serve_apps.gateway.thinking_voice import Document, Head, Told, about, thought
from zoran_ray.reasoning.trace import Step
from zoran_ray.wire import Usage


class ResponsesVoice:
    """See `thinking_voice.Voice`."""

    def __init__(self, head: Head) -> None:
        self._head = head
        self._number = 0
        self._items: list[Document] = []

    def begin(self) -> Iterator[Document]:
        """The response, still empty."""
        for kind in ("created", "in_progress"):
            yield self._event(kind, response=self._response("in_progress", []))

    def step(self, step: Step) -> Iterator[Document]:
        """One item; a step without words is an item without words, so that a tree can be drawn."""
        yield from self._one_item(_reasoning(self._head, step), "reasoning_text")

    def end(self, told: Told) -> Iterator[Document]:
        """The answer's item, and the whole response."""
        yield from self._one_item(_message(self._head, told), "output_text")
        kind = "incomplete" if told.cut else "completed"
        yield self._event(kind, response=self._ended(told, self._items))

    def whole(self, told: Told) -> Document:
        """The body."""
        thoughts = [_reasoning(self._head, step) for step in told.steps if thought(step)]
        return self._ended(told, [*thoughts, _message(self._head, told)])

    def _one_item(self, item: Document, what: str) -> Iterator[Document]:
        index, part = len(self._items), item["content"][0]
        self._items.append(item)
        own = {"zoran": item["zoran"]} if "zoran" in item else {}
        at = {"item_id": item["id"], "output_index": index, "content_index": 0}
        more: Document = {"logprobs": []} if what == "output_text" else {}
        begun = {**item, "content": [], "status": "in_progress"}
        yield self._event("output_item.added", output_index=index, item=begun, **own)
        yield self._event("content_part.added", **at, part={**part, "text": ""})
        yield self._event(f"{what}.delta", **at, delta=part["text"], **more, **own)
        yield self._event(f"{what}.done", **at, text=part["text"], **more)
        yield self._event("content_part.done", **at, part=part)
        yield self._event("output_item.done", output_index=index, item=item, **own)

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
    return {
        "id": f"rs_{head.hex}_{step.id}",
        "type": "reasoning",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": thought(step)}],
        "status": "completed",
        "zoran": about(step),
    }


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
