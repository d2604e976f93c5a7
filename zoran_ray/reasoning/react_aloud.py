"""What of a ReAct turn in the making can be said already: its thought, and nothing of its action. Pure.

The same as `react_text.read_turn` and `thought_first.spoken` find in the whole turn, found while it comes.
"""

import re

from zoran_ray.reasoning.aloud import stripped
from zoran_ray.reasoning.completion import Hear
from zoran_ray.reasoning.react_text import AFTER_LABEL, BEFORE_LABEL, ENDS_THOUGHT, LABEL, LABELS
from zoran_ray.reasoning.thought_first import THINK, THOUGHT

_BEGINNINGS = "|".join(label[:length] for label in LABELS for length in range(len(label)))
_MAY_BECOME = re.compile(
    f"{BEFORE_LABEL}+(?:{_BEGINNINGS}|(?:{'|'.join(LABELS)}){AFTER_LABEL})", re.IGNORECASE
)
"""The beginning of a line that may still begin with a label."""
_MOST_HELD = 200
"""Longest beginning of a line that is looked at, in characters; after a longer one nothing is heard."""


def thought_of_turn(hear: Hear) -> Hear:
    """Passes on the thought of a turn in text, however it is cut; of its labels and its action nothing.

    What a reasoning model thinks first, from `<think>` on, is no part of a turn and is not passed on.
    """
    return _AfterThinking(_Turn(stripped(hear)).feed).feed


def content_of_turn(hear: Hear) -> Hear:
    """Passes on the text of a turn with native calls; of a reasoning model only what it thinks first.

    A turn without a call is the answer: then its text was no thought, and is said again as the answer.
    """
    return _Thinking(stripped(hear)).feed


class _AfterThinking:
    """Leaves out what a text begins with from `<think>` to its end."""

    def __init__(self, hear: Hear) -> None:
        self._hear = hear
        self._held: str | None = ""

    def feed(self, piece: str) -> None:
        if self._held is None:
            self._hear(piece)
            return
        self._held += piece
        thinks = THINK.startswith(self._held.lstrip()[: len(THINK)])
        if thinks and THOUGHT not in self._held:
            return
        rest = self._held.partition(THOUGHT)[2] if thinks else self._held
        self._held = None
        self._hear(rest)


class _Thinking:
    """Of a text that begins with `<think>` what stands in there; of any other the whole."""

    def __init__(self, hear: Hear) -> None:
        self._hear = hear
        self._held = ""
        self._begun = self._thinks = self._over = False

    def feed(self, piece: str) -> None:
        if self._over:
            return
        self._held += piece
        if not self._begun and not self._begins():
            return
        end = len(self._held)
        if self._thinks:
            found = self._held.find(THOUGHT)
            self._over = found >= 0
            # So many signs at the end may be the beginning of the mark.
            end = found if self._over else max(0, end - len(THOUGHT) + 1)
        ready, self._held = self._held[:end], self._held[end:]
        self._hear(ready)

    def _begins(self) -> bool:
        """Whether it is known how the text begins; a `<think>` is cut off."""
        bare = self._held.lstrip()
        self._thinks = bare.startswith(THINK)
        self._begun = self._thinks or not THINK.startswith(bare)
        if self._thinks:
            self._held = bare.removeprefix(THINK)
        return self._begun


class _Turn:
    """Leaves out labels, and ends with the first that begins an action or an answer."""

    def __init__(self, hear: Hear) -> None:
        self._hear = hear
        self._line: str | None = ""
        """The beginning of a line that may begin with a label; None where it does not, or no more."""
        self._over = False

    def feed(self, piece: str) -> None:
        for place, part in enumerate(piece.split("\n")):
            if self._over:
                return
            if place:
                self._say("\n")
                self._line = ""
            self._say(part)

    def _say(self, part: str) -> None:
        if self._line is None:
            self._hear(part)
            return
        line = self._line = self._line + part
        found = LABEL.match(line)
        if found and found[1].lower() in ENDS_THOUGHT:
            self._over = True
        elif not _MAY_BECOME.fullmatch(line) and not (found and found.end() == len(line)):
            self._line = None
            self._hear(line[found.end() :] if found else line)
        elif len(line) > _MOST_HELD:
            self._over = True
