"""What a client hears of a strategy: thoughts as they come, then the answer. Knows no bytes.

Where one call is all that is waited for, its thought is heard piece by piece; of branches that run at the
same time each as a whole, for nobody could follow their words. The pieces and the rest that comes with the
step make the step's own text. Where they do not (the thought never came to its marker and was an answer all
along, or its call had to be begun anew) what was heard is ended, and the whole step follows.

One voice for each dialect: `chat_voice`, `messages_voice`, `responses_voice`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from zoran_ray.access import usd
from zoran_ray.reasoning.completion import Used
from zoran_ray.reasoning.strategy import Answer
from zoran_ray.reasoning.trace import Piece, Step
from zoran_ray.wire import Usage

Document = dict[str, Any]
_MOST_DETAIL_CHARS = 64
_MOST_ANSWER_CHARS = 200


@dataclass(frozen=True, slots=True)
class Head:
    """What every event of an answer says.

    Attributes:
        id: Of the trace: `trace-` and 32 hex digits.
        model: As the caller named it.
        created: Unix time in seconds.
        include_usage: Whether the caller wants the usage event of a chat stream.
    """

    id: str
    model: str
    created: int
    include_usage: bool = False

    @property
    def hex(self) -> str:
        """What is different in each answer's id."""
        return self.id.rpartition("-")[2]


@dataclass(frozen=True, slots=True)
class Told:
    """How it ended.

    Attributes:
        used: What all calls used.
        zoran: What is said of it beside the dialect's own members.
        steps: Everything that was thought.
    """

    answer: Answer
    used: Used
    zoran: Document
    steps: tuple[Step, ...] = field(repr=False)

    @property
    def cut(self) -> bool:
        """Whether it ended for want of tokens, money or time."""
        return self.answer.ended.startswith("budget:")

    @property
    def usage(self) -> Usage:
        """The sum of all calls."""
        used = self.used
        return Usage(used.prompt_tokens, used.completion_tokens, used.cached_tokens)

    @property
    def reasoning(self) -> str:
        """All thoughts, as one text."""
        return "".join(map(thought, self.steps))


class Voice(Protocol):
    """An answer in one dialect. Events come as documents; their names and bytes are `framed`."""

    def begin(self) -> Iterator[Document]:
        """Events before the first thought."""
        ...

    def piece(self, piece: Piece) -> Iterator[Document]:
        """Events of some more of a thought."""
        ...

    def step(self, step: Step) -> Iterator[Document]:
        """Events of one thought, or of its rest."""
        ...

    def end(self, told: Told) -> Iterator[Document]:
        """Events of the answer."""
        ...

    def whole(self, told: Told) -> Document:
        """The body of an answer that is not streamed."""
        ...


def thought(step: Step) -> str:
    """What a step adds to the text of the thoughts; nothing where it is an answer itself."""
    if step.kind == "answer" or not step.text:
        return ""
    return step.text if step.text.endswith("\n") else f"{step.text}\n"


class Heard:
    """The thought that is heard while it is thought, if any."""

    def __init__(self) -> None:
        self._id = 0
        self._text = ""

    def piece(self, piece: Piece) -> bool:
        """Notes more of it. Returns: Whether it begins here."""
        begins = piece.id != self._id
        self._text = piece.text if begins else self._text + piece.text
        self._id = piece.id
        return begins

    def rest(self, step: Step) -> str | None:
        """What is still to be said of a step; None where nothing of it was heard, and all is to be said."""
        if step.id != self._id:
            return None
        heard, self._id, self._text = self._text, 0, ""
        whole = thought(step)
        if whole.startswith(heard):
            return whole[len(heard) :]
        return whole if heard.endswith("\n") else f"\n{whole}"


def about_piece(piece: Piece) -> Document:
    """The `zoran` member of a piece's event: `partial`, for the step's own comes when it has ended."""
    return {
        "id": piece.id,
        "parent": piece.parent,
        "strategy": piece.strategy,
        "kind": piece.kind,
        "partial": True,
        "tokens": 0,
        "cached_tokens": 0,
        "cost_usd": 0.0,
    }


def about(step: Step) -> Document:
    """The `zoran` member of a thought's event."""
    used, said = step.used, {}
    if step.kind == "answer":
        # It is no thought, and only one of several may become the answer.
        said = {"text": step.text[:_MOST_ANSWER_CHARS]}
    detail = {name: value for name, value in step.detail.items() if _is_short(value)}
    return {
        "id": step.id,
        "parent": step.parent,
        "strategy": step.strategy,
        "kind": step.kind,
        "tokens": used.tokens,
        "cached_tokens": used.cached_tokens,
        "cost_usd": usd(used.nano_usd),
        "at_s": round(step.at_s, 4),
        **({"detail": detail} if detail else {}),
        **said,
    }


def _is_short(value: object) -> bool:
    """Numbers, flags and words; texts stand in the thought itself."""
    return isinstance(value, bool | int | float | None) or (
        isinstance(value, str) and len(value) <= _MOST_DETAIL_CHARS
    )
