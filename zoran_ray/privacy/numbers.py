"""Numbers with a fixed shape and a check: cards, NIR, SIREN, SIRET, SSN, IPv4. Knows nothing of masking."""

import re
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from stdnum import luhn
from stdnum.fr import nir, siren, siret
from stdnum.us import ssn

from zoran_ray.privacy.context import is_amount, is_version, labelled
from zoran_ray.privacy.digit_runs import RIGHT, SPACES, starts
from zoran_ray.privacy.finding import Finding

_GLUE = str.maketrans("", "", f"{SPACES}.-/()\u2011")
_COMPANY = re.compile(r"\b(?:siren|siret|rcs|r\.c\.s|rne|sirene)\b", re.IGNORECASE)
_SOCIAL = re.compile(r"\bssn\b|social[ -]security|\bsoc\.? sec", re.IGNORECASE)

# IIN ranges and lengths of the card schemes (ISO/IEC 7812; the schemes' published ranges).
_SCHEME = re.compile(
    r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})"  # Visa
    r"|(?:5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}"  # Mastercard
    r"|3[47][0-9]{13}"  # American Express
    r"|3(?:0[0-5]|[689][0-9])[0-9]{11}"  # Diners Club
    r"|(?:6011|64[4-9][0-9]|65[0-9]{2}|62[0-9]{2}|35(?:2[89]|[3-8][0-9]))[0-9]{12,15}"  # Discover, JCB, …
    r"|(?:50[0-9]{2}|5[6-8][0-9]{2}|6[0-9]{3})[0-9]{12,15}"  # Maestro
)


class Shape(NamedTuple):
    """One way of writing one kind of number.

    Attributes:
        pattern: Matches at the number's first digit; bounded.
        holds: Whether the number at (text, start, end) is a valid one.
    """

    kind: str
    pattern: re.Pattern[str]
    holds: Callable[[str, int, int], bool]


def find_numbers(text: str, start: int, end: int, shapes: Collection[Shape]) -> Iterator[Finding]:
    """Valid numbers within one run of digits; they may overlap."""
    for first in starts(text, start, end):
        for shape in shapes:
            match = shape.pattern.match(text, first)
            if match and shape.holds(text, first, match.end()):
                yield Finding(shape.kind, first, match.end())


def _compact(text: str, start: int, end: int) -> str:
    return text[start:end].translate(_GLUE)


def _is_card(text: str, start: int, end: int) -> bool:
    number = _compact(text, start, end)
    # A number of one digit repeated is an example, and zeros pass Luhn.
    return _SCHEME.fullmatch(number) is not None and len(set(number)) > 1 and luhn.is_valid(number)


def _is_nir(text: str, start: int, end: int) -> bool:
    return nir.is_valid(_compact(text, start, end))


def _is_siret(text: str, start: int, end: int) -> bool:
    number = _compact(text, start, end)
    return len(set(number)) > 1 and siret.is_valid(number)


def _is_siren(text: str, start: int, end: int) -> bool:
    number = _compact(text, start, end)
    if len(set(number)) < 2 or not siren.is_valid(number):
        return False
    # One number in ten passes Luhn, so an amount in groups of three must not pass for a company.
    return labelled(text, start, _COMPANY) or not (
        is_amount(text, start, end) or _is_continued(text, start, end)
    )


def _is_continued(text: str, start: int, end: int) -> bool:
    """Whether more groups of digits follow or precede: this is a part of something longer."""
    before = text[max(0, start - 2) : start]
    behind = text[end : end + 2]
    return (len(before) == 2 and before[1] in SPACES and before[0].isdigit()) or (
        len(behind) == 2 and behind[0] in SPACES and behind[1].isdigit()
    )


def _is_ssn(text: str, start: int, end: int) -> bool:
    number = _compact(text, start, end)
    return ssn.is_valid(f"{number[:3]}-{number[3:5]}-{number[5:]}")


def _is_labelled_ssn(text: str, start: int, end: int) -> bool:
    return labelled(text, start, _SOCIAL) and _is_ssn(text, start, end)


def _is_ipv4(text: str, start: int, end: int) -> bool:
    # Loopback and the network "this" (0.x) are everybody's.
    return not (text.startswith(("127.", "0."), start) or is_version(text, start))


def _shape(kind: str, pattern: str, holds: Callable[[str, int, int], bool]) -> Shape:
    return Shape(kind, re.compile(pattern + RIGHT), holds)


_GAP = rf"[{SPACES}.\-]?"
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"

SHAPES = (
    _shape(
        "FR_NIR",
        # Months: 01-12, and 20-42, 50-99 for births whose month is unknown (INSEE).
        rf"[1-478]{_GAP}[0-9]{{2}}{_GAP}(?:0[1-9]|1[0-2]|[23][0-9]|4[0-2]|[5-9][0-9]){_GAP}"
        rf"(?:[0-9]{{2}}|2[ABab]){_GAP}[0-9]{{3}}{_GAP}[0-9]{{3}}{_GAP}[0-9]{{2}}",
        _is_nir,
    ),
    _shape("FR_SIRET", rf"[0-9]{{3}}{_GAP}[0-9]{{3}}{_GAP}[0-9]{{3}}{_GAP}[0-9]{{5}}", _is_siret),
    _shape("CARD", r"[2-6][0-9]{12,18}", _is_card),
    _shape("CARD", rf"[2-6][0-9]{{3}}([{SPACES}\-])[0-9]{{4}}\1[0-9]{{4}}\1[0-9]{{1,4}}", _is_card),
    _shape("CARD", rf"[2-6][0-9]{{3}}([{SPACES}\-])(?:[0-9]{{4}}\1){{3}}[0-9]{{1,3}}", _is_card),
    _shape("CARD", rf"3[0-9]{{3}}([{SPACES}\-])[0-9]{{6}}\1[0-9]{{4,5}}", _is_card),
    _shape("US_SSN", rf"[0-8][0-9]{{2}}([{SPACES}\-])[0-9]{{2}}\1[0-9]{{4}}", _is_ssn),
    _shape("US_SSN", r"[0-8][0-9]{8}", _is_labelled_ssn),
    _shape("FR_SIREN", rf"[0-9]{{3}}([{SPACES}.]?)[0-9]{{3}}\1[0-9]{{3}}", _is_siren),
    _shape("IP", rf"{_OCTET}(?:\.{_OCTET}){{3}}", _is_ipv4),
)
