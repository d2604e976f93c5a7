"""Looks for secrets and for what is forbidden in texts. Tells where and what kind, never what it found."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from zoran_ray.policy.decision import Step
from zoran_ray.policy.document import Secrets
from zoran_ray.policy.patterns import compiled
from zoran_ray.policy.rules import TextRule
from zoran_ray.privacy import Kind, Scanner

MOST_TOLD = 20
"""Findings that are told one by one."""

_KINDS: dict[str, Kind] = {
    "private_key": "PRIVATE_KEY",
    "url_credentials": "URL_CREDENTIALS",
    "api_key": "API_KEY",
}


@dataclass(frozen=True, slots=True)
class Found:
    """Something that must not be there.

    Attributes:
        rule: Place of the rule in the policy.
        start: First character, in code points.
        end: One past the last.
        why: What the rule says about itself.
    """

    rule: str
    start: int
    end: int
    why: str


class TextJudge:
    """Runs the detectors and patterns of a policy. Safe to share between threads."""

    def __init__(self, secrets: Secrets, forbidden: Sequence[TextRule]) -> None:
        self._names = {str(_KINDS[name]): name for name in secrets.detectors}
        self._scanner = Scanner(kinds=tuple(self._names))
        self._patterns = secrets.patterns
        self._forbidden = forbidden

    def secrets(self, text: str) -> list[Found]:
        """All secrets, in order of place."""
        found = [
            Found(f"secrets.detectors.{self._names[each.kind]}", each.start, each.end, "")
            for each in self._scanner.scan(text)
        ]
        found += _search("secrets.patterns", self._patterns, text)
        return sorted(found, key=lambda each: (each.start, each.end))

    def secret_steps(self, text: str, where: str) -> Iterator[Step]:
        """A refusal for each secret.

        Args:
            where: What the text is, for people: `an added line`, `the message`.
        """
        return _steps(self.secrets(text), text, where, "holds what looks like a secret")

    def forbidden_steps(self, text: str, where: str) -> Iterator[Step]:
        """A refusal for each place with what is forbidden."""
        return _steps(
            list(_search("forbidden", self._forbidden, text)), text, where, "holds what is forbidden"
        )

    def redact(self, text: str) -> str:
        """The text with the name of a rule in place of each secret."""
        parts, place = [], 0
        for each in self.secrets(text):
            if each.end > place:
                parts += [text[place : max(place, each.start)], f"[{each.rule.rpartition('.')[2]}]"]
                place = each.end
        return "".join((*parts, text[place:]))


def matches(rule: TextRule, text: str) -> bool:
    """Whether the rule finds something."""
    return compiled(rule.pattern, rule.ignore_case).search(text) is not None


def _search(section: str, rules: Sequence[TextRule], text: str) -> Iterator[Found]:
    for rule in rules:
        for match in compiled(rule.pattern, rule.ignore_case).finditer(text):
            yield Found(f"{section}.{rule.name}", *match.span(), rule.why)


def _steps(found: Sequence[Found], text: str, where: str, what: str) -> Iterator[Step]:
    for each in found[:MOST_TOLD]:
        line = text.count("\n", 0, each.start) + 1
        ending = f": {each.why}" if each.why else ""
        yield Step(each.rule, "deny", f"{where}, line {line}, {what}{ending}")
    if len(found) > MOST_TOLD:
        yield Step(found[MOST_TOLD].rule, "deny", f"{where} {what} at {len(found) - MOST_TOLD} more places")
