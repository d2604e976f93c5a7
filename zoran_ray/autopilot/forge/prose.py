"""Makes text of models and repositories harmless where a forge shows it. Knows no pull request.

Shown as it is, such text can end a section of ours and begin another, hide what it says in HTML, call
people (`@name`), or close issues (`Fixes #1`) when what it stands in is merged. So everything long goes
into a fenced block whose fence it cannot close, everything short into inline code, and in both, as in
titles, which know no code, references and mentions are broken by a character without width.

Source: CommonMark 0.31 (code fences 4.5, code spans 6.1);
https://docs.github.com/en/get-started/writing-on-github (mentions, references, closing keywords).
"""

import re
import unicodedata

_BREAK = "\u200b"
_REFERENCE = re.compile(
    r"(?:(?<=@)(?=\w)|(?<=#)(?=\d)|(?<=\bGH-)(?=\d)|(?<=/issues/)(?=\d)|(?<=/pull/)(?=\d))", re.IGNORECASE
)
_TICKS = re.compile(r"`+")
_KEPT = "\n\t"


def plain(text: str) -> str:
    """Text without control characters, changes of direction and characters that nobody sees."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(each for each in lines if each in _KEPT or unicodedata.category(each)[0] != "C")


def shortened(text: str, most_chars: int) -> str:
    """Its beginning, and how much was left out."""
    if len(text) <= most_chars:
        return text
    note = f" … ({len(text) - most_chars} characters left out)"
    return text[:most_chars] + note


def fenced(text: str, most_chars: int) -> str:
    """Text as a block of its own that nothing in it can end.

    Args:
        most_chars: The rest is left out, and that is said.
    """
    inside = _unreferring(shortened(plain(text), most_chars))
    fence = "`" * max(3, 1 + max((len(run) for run in _TICKS.findall(inside)), default=0))
    return f"{fence}text\n{inside.rstrip()}\n{fence}"


def in_code(text: str, most_chars: int) -> str:
    """Text as inline code on one line."""
    inside = one_line(text, most_chars) or " "
    ticks = "`" * (1 + max((len(run) for run in _TICKS.findall(inside)), default=0))
    return f"{ticks} {inside} {ticks}"


def one_line(text: str, most_chars: int) -> str:
    """Text for a title or the first line of a commit: one line that calls nobody and closes nothing."""
    return _unreferring(shortened(" ".join(plain(text).split()), most_chars))


def _unreferring(text: str) -> str:
    return _REFERENCE.sub(_BREAK, text)
