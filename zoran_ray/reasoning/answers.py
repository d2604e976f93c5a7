"""Reads answers: the end of a chain of thought, numbers, and what two answers have in common. Pure."""

import re
from fractions import Fraction
from typing import Literal

MARKER = "Answer:"
"""Stands before the answer at the end of a chain of thought."""

Form = Literal["auto", "number", "text"]
"""How answers are compared: by the last number, as text, or as a number where they are nothing else."""

# Every repetition is bounded: a number of a million digits is nobody's answer, and 1e999999999 is a bomb.
_DIGITS = r"(?:\d{1,3}(?:,\d{3}){1,20}(?!\d)|\d{1,60})(?:\.\d{1,60})?|\.\d{1,60}"
_NUMBER = re.compile(
    rf"(?:(?<![\w)\].])(?P<sign>[-+−]))?[$€£]?(?<![\d.])(?P<value>{_DIGITS})(?P<exp>[eE][-+]?\d{{1,3}}\b)?"
    r"(?:\s?/\s?(?P<under>\d{1,60})(?![\d/]))?"
)
EMPHASIS = "*_`~\"' \t\r\n"
_ALL_BUT_FENCES = EMPHASIS.replace("`", "")
_FENCE = re.compile(r"```[\w+-]*[ \t]*\n")


def final_answer(text: str, marker: str = MARKER) -> tuple[str, str, bool]:
    """Splits a chain of thought.

    Args:
        text: What the model said.
        marker: Stands before the answer, in any case; the last one counts. Empty: all is answer.

    Returns:
        The thought, the answer, and whether the marker was there. Without it, all is the answer.
    """
    # Not by `lower`: it may change lengths outside ASCII, and with them every place.
    all_found = list(re.finditer(re.escape(marker), text, re.IGNORECASE)) if marker else []
    if not all_found:
        return "", text.strip(), not marker
    found = all_found[-1]
    return text[: found.start()].strip(EMPHASIS), _bare(text[found.end() :]), True


def _bare(text: str) -> str:
    """Without emphasis around it; a block of code keeps its fence."""
    block = text.strip(_ALL_BUT_FENCES)
    return block if _FENCE.match(block) else text.strip(EMPHASIS)


def last_number(text: str) -> Fraction | None:
    """The last number in a text, as people write numbers: `-1,234.50`, `3/4`, `6.02e23`."""
    found = list(_NUMBER.finditer(text))
    return _value(found[-1]) if found else None


def only_number(text: str) -> Fraction | None:
    """The number, where a text is nothing else but for signs around it: `$42.`, `42 %`."""
    bare = text.strip(EMPHASIS + ".,;:!%$€£=")
    found = _NUMBER.fullmatch(bare) or _NUMBER.fullmatch(text.strip(EMPHASIS + ";:!%="))
    return None if found is None else _value(found)


def vote(answer: str, form: Form = "auto") -> str | None:
    """What equal answers have in common; None for an answer that says nothing."""
    if form != "text":
        number = last_number(answer) if form == "number" else only_number(answer)
        if number is not None:
            return str(number)
        if form == "number":
            return None
    return " ".join(answer.casefold().split()).strip(".!;,:*_`\"' ") or None


def _value(found: re.Match[str]) -> Fraction | None:
    value = Fraction(found["value"].replace(",", "") + (found["exp"] or ""))
    if found["under"]:
        if int(found["under"]) == 0:
            return None
        value /= int(found["under"])
    return -value if found["sign"] in ("-", "−") else value
