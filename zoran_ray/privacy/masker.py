"""Puts placeholders in place of what was found. Knows neither disk nor HTTP."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from zoran_ray.privacy.finding import Finding, replaced
from zoran_ray.privacy.json_text import JsonText
from zoran_ray.privacy.placeholder import FORM, placeholder
from zoran_ray.privacy.scanner import Scanner


@dataclass(frozen=True, slots=True)
class Masked:
    """A text without the personal data that was found in it.

    Attributes:
        text: What may be shown to others.
        findings: Kinds and places in the original text.
        placeholders: One for each finding, in the same order.
        values: What each placeholder stands for. Never in a repr: it is what had to go.
    """

    text: str
    findings: tuple[Finding, ...]
    placeholders: tuple[str, ...]
    values: dict[str, str] = field(repr=False)


class Masker:
    """Masks the texts of one tenant. Safe to share between threads.

    Args:
        scanner: What finds personal data.
        key: Secret from which placeholders are derived, 32 bytes.
        tenant: Whose texts these are; the same value has other placeholders for every tenant.
    """

    def __init__(self, scanner: Scanner, key: bytes, tenant: str) -> None:
        self._scanner = scanner
        self._key = key
        self._tenant = tenant

    def mask(self, text: str) -> Masked:
        """The text with every finding replaced. Placeholders in it are left as they are."""
        findings = _outside_placeholders(text, self._scanner.scan(text))
        names, values = self._named(text, findings)
        return Masked(replaced(text, findings, names), tuple(findings), names, values)

    def mask_json(self, text: str) -> Masked:
        """The same for a text that is JSON, and stays so; any other is masked as `mask` does.

        The places of the findings are those in the text without its escapes.
        """
        parsed = JsonText.of(text)
        if parsed is None:
            return self.mask(text)
        findings = parsed.within_values(_outside_placeholders(parsed.view, self._scanner.scan(parsed.view)))
        names, values = self._named(parsed.view, findings)
        return Masked(parsed.replaced(findings, names), tuple(findings), names, values)

    def _named(self, text: str, findings: Sequence[Finding]) -> tuple[tuple[str, ...], dict[str, str]]:
        """Placeholders of the findings, in order, and what each stands for."""
        found = [text[each.start : each.end] for each in findings]
        names = tuple(
            placeholder(self._key, self._tenant, each.kind, value)
            for each, value in zip(findings, found, strict=True)
        )
        return names, dict(zip(names, found, strict=True))


def _outside_placeholders(text: str, findings: Sequence[Finding]) -> Sequence[Finding]:
    """Without findings within a placeholder; one that contains a placeholder stays."""
    if not findings or "[" not in text:
        return findings
    spans = [match.span() for match in FORM.finditer(text)]
    kept, number = [], 0
    for finding in findings:
        while number < len(spans) and spans[number][1] < finding.end:
            number += 1
        if number == len(spans) or finding.start < spans[number][0]:
            kept.append(finding)
    return kept
