"""What a detector reports: a kind and a place. Never the value itself, so that it may be logged."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

from zoran_ray.settings import PiiKind

Kind = PiiKind
KINDS: tuple[Kind, ...] = get_args(Kind)
_RANK = {str(kind): rank for rank, kind in enumerate(KINDS)}


NOTHING = ""
"""Kind of a span that is no datum but of which a part may look like one; such a part is no finding."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One piece of personal data or one secret.

    Attributes:
        kind: One of `KINDS`, or a plug-in's own.
        start: First character, counted in code points.
        end: One past the last.
    """

    kind: str
    start: int
    end: int


def without_overlaps(findings: Iterable[Finding], size: int) -> list[Finding]:
    """The findings of which no two overlap, in order of place: the longest span wins.

    Args:
        findings: In any order, all within the text.
        size: Length of the text.
    """
    taken = bytearray(size)
    kept = []
    for finding in sorted(findings, key=_longest_first):
        # Whatever is taken by now is at least as long, so it cannot lie within: the two ends tell.
        if not (taken[finding.start] or taken[finding.end - 1]):
            taken[finding.start : finding.end] = b"\x01" * (finding.end - finding.start)
            kept.append(finding)
    return sorted((each for each in kept if each.kind != NOTHING), key=lambda each: each.start)


def replaced(text: str, findings: Sequence[Finding], names: Sequence[str]) -> str:
    """The text with a name in place of each finding.

    Args:
        findings: In order of place; no two overlap.
        names: One for each, in the same order.
    """
    parts, place = [], 0
    for finding, name in zip(findings, names, strict=True):
        parts += [text[place : finding.start], name]
        place = finding.end
    return "".join((*parts, text[place:]))


def _longest_first(finding: Finding) -> tuple[int, int, int, str]:
    rank = _RANK.get(finding.kind, len(_RANK))
    return finding.start - finding.end, rank, finding.start, finding.kind
