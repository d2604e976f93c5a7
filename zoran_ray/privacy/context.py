"""What stands before and behind a number. Knows no kind of number by itself."""

import re

REACH = 32
"""How far before a number its label may begin, in characters."""

_VERSION = re.compile(
    r"(?:\bv|\bver\.?|version|release|build|firmware|section|chapter|clause|§)[ :=]{0,3}\Z", re.IGNORECASE
)
_MONEY_BEFORE = re.compile(r"[€$£¥][ \u00a0\u202f]?\Z|\b(?:EUR|USD|GBP|CHF) \Z")
_MONEY_BEHIND = re.compile(
    r"[ \u00a0\u202f]?(?:[€$£¥%]|(?:EUR|USD|GBP|CHF|euros?|dollars?|pounds|habitants|people)\b)"
    r"|,[0-9]{1,2}(?![0-9])"
)


def labelled(text: str, start: int, label: re.Pattern[str]) -> bool:
    """Whether `label` occurs within `REACH` characters before `start`, and labels no other number."""
    for match in label.finditer(text, max(0, start - REACH), start):
        if not any(char.isdigit() for char in text[match.end() : start]):
            return True
    return False


def is_version(text: str, start: int) -> bool:
    """Whether what begins at `start` is called a version."""
    return _VERSION.search(text, max(0, start - 12), start) is not None


def is_amount(text: str, start: int, end: int) -> bool:
    """Whether a currency, a unit or decimals say that this is a quantity."""
    before = _MONEY_BEFORE.search(text, max(0, start - 5), start)
    return before is not None or _MONEY_BEHIND.match(text, end) is not None
