"""What a chat endpoint answers, read into frozen values. Knows the bodies, not the connection."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from zoran_ray.errors import UpstreamError


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Delta:
    """One piece of a streamed answer.

    Attributes:
        text: More of the answer.
        reasoning: More of the thinking before it.
        finish_reason: Why the answer ended, in its last piece.
        usage: Tokens of the whole request, in the last piece of all.
        model: Who answers.
        zoran: What a strategy says beside its thoughts and at its end; None for other models.
    """

    text: str = ""
    reasoning: str = ""
    finish_reason: str | None = None
    usage: Usage | None = None
    model: str = ""
    zoran: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `str()` of it is its text."""

    text: str
    reasoning: str = ""
    finish_reason: str | None = None
    usage: Usage | None = None
    model: str = ""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """One model a server offers.

    Attributes:
        id: What to ask for.
        owned_by: Who the server says it is from.
        created: Unix time in seconds, 0 if not told.
    """

    id: str
    owned_by: str = ""
    created: int = 0


def read_answer(body: Any) -> Answer:
    """A `chat.completion` body.

    Raises:
        UpstreamError: It is none.
    """
    choice, model = _first_choice(body), str(body.get("model", ""))
    if choice is None or not isinstance(choice.get("message"), Mapping):
        raise UpstreamError(
            "The server's answer has no message; does this address speak the OpenAI protocol?"
        )
    message = choice["message"]
    return Answer(
        text=_text(message, "content"),
        reasoning=_reasoning(message),
        finish_reason=choice.get("finish_reason"),
        usage=_usage(body),
        model=model,
    )


def read_delta(body: Any) -> Delta:
    """A `chat.completion.chunk` body.

    Raises:
        UpstreamError: It is none.
    """
    choice = _first_choice(body) or {}
    delta = choice.get("delta")
    delta = delta if isinstance(delta, Mapping) else {}
    zoran = body.get("zoran")
    return Delta(
        text=_text(delta, "content"),
        reasoning=_reasoning(delta),
        finish_reason=choice.get("finish_reason"),
        usage=_usage(body),
        model=str(body.get("model", "")),
        zoran=zoran if isinstance(zoran, Mapping) else None,
    )


def joined(deltas: Iterable[Delta]) -> Answer:
    """The answer that the pieces make."""
    pieces = list(deltas)
    return Answer(
        text="".join(piece.text for piece in pieces),
        reasoning="".join(piece.reasoning for piece in pieces),
        finish_reason=next(
            (piece.finish_reason for piece in reversed(pieces) if piece.finish_reason), None
        ),
        usage=next((piece.usage for piece in reversed(pieces) if piece.usage), None),
        model=next((piece.model for piece in pieces if piece.model), ""),
    )


def read_models(body: Any) -> tuple[RemoteModel, ...]:
    """A `/models` body.

    Raises:
        UpstreamError: It is none.
    """
    data = body.get("data") if isinstance(body, Mapping) else None
    if not isinstance(data, list):
        raise UpstreamError(
            "The server's list of models is none; does this address speak the OpenAI protocol?"
        )
    return tuple(
        RemoteModel(str(each["id"]), str(each.get("owned_by") or ""), int(each.get("created") or 0))
        for each in data
        if isinstance(each, Mapping) and "id" in each
    )


def _first_choice(body: Any) -> Mapping[str, Any] | None:
    if not isinstance(body, Mapping) or not isinstance(body.get("choices"), list):
        raise UpstreamError(
            "The server's answer is no chat completion; does this address speak the OpenAI protocol?"
        )
    choices = body["choices"]
    return choices[0] if choices and isinstance(choices[0], Mapping) else None


def _text(message: Mapping[str, Any], field: str) -> str:
    value = message.get(field)
    return value if isinstance(value, str) else ""


def _reasoning(message: Mapping[str, Any]) -> str:
    # Older servers say `reasoning_content`.
    return _text(message, "reasoning") or _text(message, "reasoning_content")


def _usage(body: Mapping[str, Any]) -> Usage | None:
    usage = body.get("usage")
    if not isinstance(usage, Mapping):
        return None
    return Usage(int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0))
