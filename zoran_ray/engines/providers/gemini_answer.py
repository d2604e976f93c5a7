"""An answer of Gemini's generateContent → OpenAI's chat.completion. Pure; knows no HTTP.

Streamed answers are the same objects in pieces: `gemini_stream` reads their candidates with `read_parts`.

Source: https://ai.google.dev/api/generate-content: `promptTokenCount` holds the cached tokens,
`candidatesTokenCount` leaves out those of thoughts; a prompt that was blocked has no candidates.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from zoran_ray.engines.providers.chat_answer import (
    FinishReason,
    Head,
    Tokens,
    choice,
    count,
    json_text,
    tool_call,
)
from zoran_ray.engines.providers.gemini_request import SIGNATURE, VENDOR
from zoran_ray.errors import UpstreamError

_FINISHES: dict[str, FinishReason] = {
    "MAX_TOKENS": "length",
    **dict.fromkeys(("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"), "content_filter"),
    **dict.fromkeys(("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"), "content_filter"),
    **dict.fromkeys(("LANGUAGE", "OTHER"), "content_filter"),
}
_FAILURES = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "MALFORMED_RESPONSE",
        "MISSING_THOUGHT_SIGNATURE",
        "TOO_MANY_TOOL_CALLS",
        "UNEXPECTED_TOOL_CALL",
    }
)
"""The model could not put its answer into words: there is nothing to give to the client."""


def new_call_id() -> str:
    """An id for a call that Gemini gave none."""
    return f"call_{uuid4().hex[:24]}"


@dataclass(slots=True)
class Parts:
    """What the parts of one candidate say.

    Attributes:
        calls: OpenAI's tool calls.
        signature: Of the text, empty if it has none.
    """

    texts: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    signature: str = ""

    @property
    def extra(self) -> dict[str, Any]:
        """The `extra_content` of the message."""
        return _extra(self.signature)


def gemini_completion(
    answer: Any, model: str, created: int, new_id: Callable[[], str] = new_call_id
) -> dict[str, Any]:
    """OpenAI's chat.completion.

    Args:
        answer: Gemini's `GenerateContentResponse`, of any JSON types.
        model: Told where the answer does not say which model it was.
        created: Unix time in seconds.
        new_id: Makes ids of calls.

    Raises:
        UpstreamError: It is no such answer, or the model failed to give one.
    """
    if not isinstance(answer, Mapping):
        raise no_answer()
    told = [_choice(each, new_id) for each in candidates(answer)]
    if not told:
        if not blocked(answer):
            raise no_answer()
        told = [choice("content_filter", texts=())]
    return head(answer, model, created).completion(told, tokens(answer.get("usageMetadata")))


def candidates(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The candidates, none of which need be there."""
    found = answer.get("candidates") or []
    if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
        raise no_answer()
    return found


def blocked(answer: Mapping[str, Any]) -> bool:
    """Whether Gemini refused the prompt."""
    feedback = answer.get("promptFeedback")
    return isinstance(feedback, Mapping) and bool(feedback.get("blockReason"))


def head(answer: Mapping[str, Any], model: str, created: int) -> Head:
    """Id and model of an answer; not all versions of the API state them."""
    answer_id, version = answer.get("responseId"), answer.get("modelVersion")
    return Head(
        answer_id if isinstance(answer_id, str) and answer_id else f"chatcmpl-{uuid4().hex}",
        version if isinstance(version, str) and version else model,
        created,
    )


def place(candidate: Mapping[str, Any]) -> int:
    """The candidate's number; the first one's may be left out."""
    index = candidate.get("index", 0)
    if type(index) is not int or index < 0:
        raise no_answer()
    return index


def read_parts(candidate: Mapping[str, Any], new_id: Callable[[], str]) -> Parts:
    """What a candidate, or a piece of one, says. Parts of kinds that are not asked for are left out."""
    content = candidate.get("content") or {}
    parts = content.get("parts") or [] if isinstance(content, Mapping) else None
    if not isinstance(parts, list):
        raise no_answer()
    found = Parts()
    for part in parts:
        signature = part.get("thoughtSignature") if isinstance(part, Mapping) else None
        match part:
            case {"functionCall": {"name": str(name)} as call}:
                found.calls.append(_call(name, call, signature, new_id))
            case {"functionCall": _}:
                raise no_answer()
            case {"text": str(text), "thought": True}:
                found.thoughts.append(text)
            case {"text": str(text)}:
                found.texts.append(text)
                found.signature = signature if isinstance(signature, str) else found.signature
    return found


def finish(reason: object, called: bool) -> FinishReason:
    """OpenAI's word for it; reasons yet to come: stop.

    Raises:
        UpstreamError: The model failed to put its answer into words.
    """
    if not isinstance(reason, str):
        return "stop"
    if reason in _FAILURES:
        raise UpstreamError("Gemini's model did not manage a valid answer. Try again.")
    return "tool_calls" if called and reason == "STOP" else _FINISHES.get(reason, "stop")


def logprobs(candidate: Mapping[str, Any]) -> dict[str, Any] | None:
    """OpenAI's `logprobs` of a candidate, None if it has none."""
    result = candidate.get("logprobsResult")
    chosen = result.get("chosenCandidates") if isinstance(result, Mapping) else None
    if not isinstance(result, Mapping) or not isinstance(chosen, list):
        return None
    tops = result.get("topCandidates")
    content = []
    for i, each in enumerate(chosen):
        top = _top(tops, i)
        content.append({**_logprob(each), "top_logprobs": [_logprob(other) for other in top]})
    return {"content": content, "refusal": None}


def tokens(usage: object) -> Tokens:
    """Token counts of an answer; those of thoughts count as completion, as OpenAI counts them."""
    thoughts = count(usage, "thoughtsTokenCount")
    return Tokens(
        prompt=count(usage, "promptTokenCount") + count(usage, "toolUsePromptTokenCount"),
        completion=count(usage, "candidatesTokenCount") + thoughts,
        cached=count(usage, "cachedContentTokenCount"),
        reasoning=thoughts,
    )


def no_answer() -> UpstreamError:
    """The error of an answer that is none of Gemini's."""
    return UpstreamError("Gemini answered something that is not an answer. Try again.")


def _choice(candidate: Mapping[str, Any], new_id: Callable[[], str]) -> dict[str, Any]:
    said = read_parts(candidate, new_id)
    return choice(
        finish(candidate.get("finishReason"), bool(said.calls)),
        texts=said.texts,
        thoughts=said.thoughts,
        calls=said.calls,
        extra=said.extra,
        index=place(candidate),
        logprobs=logprobs(candidate),
    )


def _call(
    name: str, call: Mapping[str, Any], signature: object, new_id: Callable[[], str]
) -> dict[str, Any]:
    call_id, arguments = call.get("id"), call.get("args") or {}
    if not isinstance(arguments, Mapping):
        raise no_answer()
    named = call_id if isinstance(call_id, str) and call_id else new_id()
    return tool_call(named, name, json_text(arguments), _extra(signature))


def _extra(signature: object) -> dict[str, Any]:
    return {VENDOR: {SIGNATURE: signature}} if isinstance(signature, str) and signature else {}


def _top(tops: Any, i: int) -> list[Any]:
    """The most likely tokens in place `i`."""
    at = tops[i] if isinstance(tops, list) and i < len(tops) else None
    found = at.get("candidates") if isinstance(at, Mapping) else None
    return found if isinstance(found, list) else []


def _logprob(given: Any) -> dict[str, Any]:
    match given:
        case {"token": str(token)}:
            logprob = given.get("logProbability", 0.0)
            if isinstance(logprob, int | float):
                return {"token": token, "logprob": logprob, "bytes": list(token.encode())}
    raise no_answer()
