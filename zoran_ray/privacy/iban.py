"""Bank accounts: length and structure by country, and mod 97. Knows nothing of masking."""

import re
from collections.abc import Iterator
from functools import lru_cache

from stdnum import iban, numdb

from zoran_ray.privacy.digit_runs import SPACES
from zoran_ray.privacy.finding import NOTHING, Finding

_BODY = re.compile(rf"[A-Za-z]{{2}}[0-9]{{2}}(?:[{SPACES}\-]?[0-9A-Za-z]){{11,30}}+")
_PART = re.compile(r"([0-9]+)![nac]")
_GLUE = str.maketrans("", "", f"{SPACES}-")


@lru_cache(maxsize=26 * 26)
def length_in(country: str) -> int | None:
    """How many characters an IBAN of a country has (`FR` → 27), None where there are none."""
    properties = numdb.get("iban").info(country)[0][1]
    return 4 + sum(map(int, _PART.findall(properties["bban"]))) if "bban" in properties else None


def find_iban(text: str, start: int, end: int) -> Iterator[Finding]:
    """The IBAN whose check digits begin this run of digits, if one does.

    One whose check fails is `NOTHING`: groups of it must not pass for a card or a phone number.
    """
    begin = start - 2
    if begin < 0 or not text[begin:start].isalpha() or text[begin - 1 : begin].isalnum():
        return
    match = _BODY.match(text, begin)
    size = length_in(text[begin:start].upper()) if match else None
    if match is None or size is None:
        return
    stop = _end_of(text, begin, match.end(), size)
    if stop is not None:
        is_valid = _is_valid(text[begin:stop].translate(_GLUE).upper())
        yield Finding("IBAN" if is_valid else NOTHING, begin, stop)


def _end_of(text: str, begin: int, limit: int, size: int) -> int | None:
    """Where `size` characters that are no separators end; None if that is within a word or too far."""
    counted = 0
    for place in range(begin, limit):
        counted += text[place].isalnum()
        if counted == size:
            return None if text[place + 1 : place + 2].isalnum() else place + 1
    return None


def _is_valid(number: str) -> bool:
    # The remainder first: it is a fiftieth of the library's work and lets 1 % through.
    value = int("".join(str(int(char, 36)) for char in number[4:] + number[:4]))
    return value % 97 == 1 and iban.is_valid(number, check_country=False)
