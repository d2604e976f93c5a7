"""Phone numbers, international ones and those of chosen regions. Knows nothing of masking."""

import re
from collections.abc import Collection, Iterator
from itertools import pairwise

from zoran_ray.privacy.context import labelled
from zoran_ray.privacy.digit_runs import is_start
from zoran_ray.privacy.finding import Finding
from zoran_ray.privacy.phone_plan import Plan, plan_of, plans_for

_GROUP = re.compile(r"[0-9]+")
_LABEL = re.compile(
    r"phone|\bt[eé]l\b|t[eé]l[eé]ph|mobile|\bcell|\bcall|\bfax\b|\bsms\b|\btext me|appel|portable|joindre"
    r"|whatsapp|\bring\b|\bdial",
    re.IGNORECASE,
)
_LEAST, _MOST = 7, 15
"""Digits of a number: E.164 allows 15."""
_MOST_GROUPS = 9
_COUNTING = "01234567890123456789"


class PhoneFinder:
    """Finds phone numbers in runs of digits.

    Args:
        regions: Whose national numbers are recognised, such as `FR`; with a `+` all are.

    Raises:
        ConfigError: A region is unknown.
    """

    def __init__(self, regions: Collection[str]) -> None:
        self._plans = tuple(plan_of(region) for region in regions)
        # Most digits begin no phone number, and this tells so in one look.
        begins = [r"00[1-9]", *(plan.begins for plan in self._plans)]
        self._begins = re.compile("|".join(f"(?:{each})" for each in begins))

    def __call__(self, text: str, start: int, end: int) -> Iterator[Finding]:
        """Valid numbers within one run of digits; they may overlap."""
        spans = [group.span() for group in _GROUP.finditer(text, start, end)]
        digits = "".join([text[first:stop] for first, stop in spans])
        place = 0
        for number, (first, stop) in enumerate(spans):
            is_likely = text[first - 1 : first] == "+" or self._begins.match(digits, place)
            if is_likely and is_start(text, first):
                yield from self._longest(text, spans[number : number + _MOST_GROUPS])
            place += stop - first

    def _longest(self, text: str, spans: list[tuple[int, int]]) -> Iterator[Finding]:
        first = spans[0][0]
        plus = text[first - 1 : first] == "+"
        for count in range(_joined(text, spans), 0, -1):
            stop = spans[count - 1][1]
            if stop - first < _LEAST or _is_cut_off(text, stop):
                continue
            if self._holds(text, spans[:count], plus):
                yield Finding("PHONE", _opening(text, first, stop, plus), stop)
                return

    def _holds(self, text: str, spans: list[tuple[int, int]], plus: bool) -> bool:
        groups = [text[start:end] for start, end in spans]
        if plus or groups[0].startswith("00"):
            return _is_international(_without_trunk(text, spans, groups), plus)
        digits = "".join(groups)
        if len(digits) > _MOST:
            return False
        if digits in _COUNTING:
            return False
        gaps = {text[end:start] for (_, end), (start, _) in pairwise(spans)}
        return any(_is_national(plan, digits, groups, gaps, text, spans[0][0]) for plan in self._plans)


def _joined(text: str, spans: list[tuple[int, int]]) -> int:
    """How many of the groups may belong to one number by how many digits they have, and by their gaps."""
    size = 0
    for count, (start, end) in enumerate(spans):
        size += end - start
        # "(0)" and "00" come on top. A letter in a gap is that of a NIR.
        if size > _MOST + 3 or (count and not set(text[spans[count - 1][1] : start]).isdisjoint("ABab")):
            return count
    return len(spans)


def _is_international(digits: str, plus: bool) -> bool:
    number = digits if plus else digits[2:]
    if not _LEAST <= len(number) <= _MOST:
        return False
    # No calling code is the beginning of another.
    for size in (1, 2, 3):
        if plans := plans_for(int(number[:size])):
            return any(plan.holds(number[size:]) for plan in plans)
    return False


def _without_trunk(text: str, spans: list[tuple[int, int]], groups: list[str]) -> str:
    """The digits without the `(0)` of `+33 (0)6 12 34 56 78`."""
    return "".join(
        group
        for group, (start, end) in zip(groups, spans, strict=True)
        if not (group == "0" and text[start - 1 : end + 1] == "(0)")
    )


def _is_national(plan: Plan, digits: str, groups: list[str], gaps: set[str], text: str, first: int) -> bool:
    prefixed = bool(plan.prefix) and digits.startswith(plan.prefix)
    if plan.required and not prefixed:
        return False
    national = digits[len(plan.prefix) :] if prefixed else digits
    if not plan.holds(national):
        return False
    if len(groups) == 1:
        # Ten digits in a block are a phone number to nobody who is not told so.
        return plan.required or labelled(text, first, _LABEL)
    return _is_written_so(plan, national, groups, gaps, len(digits) - len(national))


def _is_written_so(plan: Plan, national: str, groups: list[str], gaps: set[str], prefix: int) -> bool:
    """Whether the gaps are where one leaves them; so dates and amounts are no phone numbers."""
    place, found = -prefix, set()
    for group in groups[:-1]:
        place += len(group)
        found.add(place)
    if gaps == {"."} and len(groups) == 2:
        return False  # a decimal
    inner = {place for place in found if place > 0}
    bounds = plan.bounds(national)
    return inner == bounds or (inner <= bounds and len(gaps) == 1)


def _is_cut_off(text: str, stop: int) -> bool:
    """Whether a word or a longer number goes on here."""
    behind = text[stop : stop + 2]
    return bool(behind) and (
        (behind[0].isascii() and (behind[0].isalnum() or behind[0] == "_"))
        or (len(behind) == 2 and behind[0] in ".-/" and behind[1].isdigit())
    )


def _opening(text: str, first: int, stop: int, plus: bool) -> int:
    """Where the number begins with its `+` and, if it is closed within, its parenthesis."""
    start = first - plus
    within = text[first:stop]
    return start - (text[start - 1 : start] == "(" and within.count(")") > within.count("("))
