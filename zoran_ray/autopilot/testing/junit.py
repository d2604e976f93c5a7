"""Reads what pytest wrote about a run. The code under test may have written it too: nothing in it is
trusted to be small, well-formed or true.

Source: https://docs.pytest.org/en/stable/how-to/output.html#creating-junitxml-format-files
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from io import BytesIO
from xml.etree.ElementTree import Element, ParseError, iterparse

from zoran_ray.errors import RequestError

MOST_BYTES = 16 * 1024 * 1024
MOST_TESTS = 100_000


class Outcome(StrEnum):
    """How a test ended, the best first."""

    PASSED = "passed"
    SKIPPED = "skipped"
    FAILED = "failed"
    ERROR = "error"


class JUnitError(RequestError):
    """A report cannot be read, and so is no evidence."""

    code = "junit_invalid"


def read_junit(data: bytes) -> Mapping[str, Outcome]:
    """Outcomes by test id (`file or class::name`). Of two with one id the worse counts.

    Raises:
        JUnitError: It is no report, or too large.
    """
    found: dict[str, Outcome] = {}
    for case in _cases(data):
        _count(found, case)
    return found


def failed_saying(data: bytes, text: str) -> frozenset[str]:
    """Ids of tests whose failure says a text. Raises: As `read_junit`."""
    return frozenset(
        _name(case)
        for case in _cases(data)
        for child in case
        if child.tag == "failure" and text in f"{child.get('message', '')}\n{child.text}"
    )


def _cases(data: bytes) -> Iterator[Element]:
    if len(data) > MOST_BYTES:
        raise JUnitError(f"The report has more than {MOST_BYTES} bytes.")
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise JUnitError("The report declares entities; pytest writes none.")
    try:
        # Entities were refused above, and nothing outside is ever loaded.
        for _, element in iterparse(BytesIO(data)):  # noqa: S314
            if element.tag == "testcase":
                yield element
    except (ParseError, ValueError) as error:
        raise JUnitError("The report is no well-formed XML.") from error


def _name(case: Element) -> str:
    return f"{case.get('classname', '')}::{case.get('name', '')}"


def _count(found: dict[str, Outcome], case: Element) -> None:
    name = _name(case)
    outcome = Outcome.PASSED
    for child in case:
        if child.tag in ("failure", "error", "skipped"):
            named = Outcome.FAILED if child.tag == "failure" else Outcome(child.tag)
            outcome = max(outcome, named, key=_RANK.__getitem__)
    found[name] = max(found.get(name, outcome), outcome, key=_RANK.__getitem__)
    if len(found) > MOST_TESTS:
        raise JUnitError(f"The report has more than {MOST_TESTS} tests.")


_RANK = {outcome: rank for rank, outcome in enumerate(Outcome)}
