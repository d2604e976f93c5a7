"""An answer from passages, or that there is none. Knows no server: the model comes in.

What a model says without naming a line it was given counts as made up: it is asked once more, and then not
believed.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

from zoran_ray.rag.citations import Checked, Citation, checked
from zoran_ray.rag.passages import Passage
from zoran_ray.rag.prompt import NOT_FOUND, Messages, again, fitting, messages

NOTHING_FITS = "Nothing in the indexed files answers this."
Say = Callable[[Messages], str]
"""Asks the model. Raises: ZoranError."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What came out.

    Attributes:
        text: The answer, or `NOTHING_FITS`.
        found: Whether there is an answer.
        citations: Lines it stands on.
        invented: What the model cited and was not given; in the answer stands `[?]` instead.
        said: What the model said last; empty where it was not asked.
    """

    text: str = field(repr=False)
    found: bool
    citations: tuple[Citation, ...] = ()
    invented: tuple[str, ...] = ()
    said: str = field(default="", repr=False)


def answered(question: str, found: Sequence[Passage], say: Say, secret: bytes) -> Answered:
    """Answers a question from passages.

    Args:
        question: The question.
        found: Passages that fit it, best first; the best that have room are given.
        say: Asks the model, at most twice.
        secret: 16 to 64 bytes that no file can know.
    """
    work = answering(question, found, secret)
    try:
        asked = next(work)
        while True:
            asked = work.send(say(asked))
    except StopIteration as done:
        told: Answered = done.value
        return told


def answering(question: str, found: Sequence[Passage], secret: bytes) -> Generator[Messages, str, Answered]:
    """`answered` for whoever asks the model in another way: yields what it is asked, wants what it says."""
    given = fitting(found)
    if not given:
        return Answered(NOTHING_FITS, found=False)
    asked = messages(question, given, secret)
    said = yield asked
    seen = checked(said, given)
    if not seen.citations and not _gave_up(said):
        said = yield again(asked, said)
        seen = checked(said, given)
    return _judged(said, seen)


def _judged(said: str, seen: Checked) -> Answered:
    if not seen.citations:
        return Answered(NOTHING_FITS, found=False, invented=seen.invented, said=said)
    return Answered(seen.text.strip(), True, seen.citations, seen.invented, said)


def _gave_up(said: str) -> bool:
    return not said.strip() or NOT_FOUND in said.upper()
