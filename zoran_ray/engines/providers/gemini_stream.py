"""Gemini's streamed answers → OpenAI's chunks. A small state machine; knows no HTTP and no framing.

Every event is a `GenerateContentResponse` with the next pieces of its candidates; a call of a function is
never cut in two. The stream has no last event: it is complete if every candidate told why it ended.

Source: https://ai.google.dev/api/generate-content, method streamGenerateContent.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from zoran_ray.engines.providers.chat_answer import Chunk, Head, Tokens
from zoran_ray.engines.providers.gemini_answer import (
    Parts,
    blocked,
    candidates,
    finish,
    head,
    logprobs,
    new_call_id,
    no_answer,
    place,
    read_parts,
    tokens,
)
from zoran_ray.errors import UpstreamError, ZoranError


@dataclass(slots=True)
class _Candidate:
    """How far one candidate is. `calls` counts those told."""

    calls: int = 0
    ended: bool = False


class GeminiStream:
    """One answer in the making. Feed it the events, then `close` it; send on the chunks it gives back.

    Args:
        model: Told where the answer does not say which model it was.
        created: Unix time in seconds.
        failure: Makes an error of an error object within the stream.
        new_id: Makes ids of calls.

    Attributes:
        finished: Always false: there is no last event to see.
    """

    finished = False

    def __init__(
        self,
        model: str,
        created: int,
        failure: Callable[[object], ZoranError],
        new_id: Callable[[], str] = new_call_id,
    ) -> None:
        self._model = model
        self._created = created
        self._failure = failure
        self._new_id = new_id
        self._head: Head | None = None
        self._candidates: dict[int, _Candidate] = {}
        self._usage: object = None

    @property
    def counted(self) -> Tokens | None:
        """What Gemini has counted so far; it does with every event."""
        return tokens(self._usage) if self._usage else None

    def feed(self, event: Any) -> list[Chunk]:
        """The chunks an event amounts to, possibly none.

        Raises:
            ProviderBusy: The stream ends because Gemini is overloaded.
            UpstreamError: It ends for another reason, or is none of Gemini's.
        """
        if not isinstance(event, Mapping):
            raise no_answer()
        if "error" in event:
            raise self._failure(event)
        begun = self._head = self._head or head(event, self._model, self._created)
        self._usage = event.get("usageMetadata") or self._usage
        found = candidates(event)
        if not found and not self._candidates and blocked(event):
            found = [{"finishReason": "SAFETY"}]
        return [chunk for each in found for chunk in self._advance(begun, each)]

    def close(self) -> list[Chunk]:
        """The last chunk: what the answer cost.

        Raises:
            UpstreamError: The stream ended before the answer did.
        """
        if self._head is None or not self._candidates:
            raise UpstreamError("Gemini's stream ended without an answer. Try again.")
        if not all(each.ended for each in self._candidates.values()):
            raise UpstreamError("Gemini's answer broke off before its end. Try again.")
        return [self._head.usage(tokens(self._usage))]

    def _advance(self, begun: Head, piece: Mapping[str, Any]) -> list[Chunk]:
        index, chunks = place(piece), []
        if index not in self._candidates:
            self._candidates[index] = _Candidate()
            chunks.append(begun.delta({"role": "assistant", "content": ""}, index))
        candidate = self._candidates[index]
        if candidate.ended:
            return []  # of an answer that is over nothing more is told: counts alone may follow
        if delta := _delta(read_parts(piece, self._new_id), candidate):
            chunks.append(begun.delta(delta, index, logprobs(piece)))
        reason = piece.get("finishReason")
        if reason not in (None, "", "FINISH_REASON_UNSPECIFIED"):
            candidate.ended = True
            chunks.append(begun.end(finish(reason, candidate.calls > 0), index))
        return chunks


def _delta(said: Parts, candidate: _Candidate) -> dict[str, Any]:
    delta: dict[str, Any] = {}
    if text := "".join(said.texts):
        delta["content"] = text
    if thought := "".join(said.thoughts):
        delta["reasoning"] = thought
    if said.calls:
        delta["tool_calls"] = [{"index": candidate.calls + i, **call} for i, call in enumerate(said.calls)]
        candidate.calls += len(said.calls)
    if said.extra:
        delta["extra_content"] = said.extra
    return delta
