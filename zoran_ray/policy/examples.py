"""Tries the examples that stand in a policy, and what no field can check by itself."""

from collections import Counter
from collections.abc import Iterator, Sequence

from zoran_ray.policy.commands import value_steps
from zoran_ray.policy.document import Override, Paths, Rules
from zoran_ray.policy.globs import Globs
from zoran_ray.policy.names import name_fault, shown
from zoran_ray.policy.paths import PathJudge
from zoran_ray.policy.rules import PathRule, TextRule
from zoran_ray.policy.strictness import Place
from zoran_ray.policy.texts import matches

Fault = tuple[Place, str]


def example_faults(rules: Rules | Override) -> Iterator[Fault]:
    """Where an example fails or a name comes twice, and what is wrong there.

    Args:
        rules: Of a policy, or of an override, in which any section may be missing.
    """
    paths = rules.paths or Paths()
    for section in ("allow", "only", "ask", "forbid"):
        yield from _path_faults(getattr(paths, section, None) or (), ("paths", section))
    if rules.secrets:
        yield from _text_faults(rules.secrets.patterns or (), ("secrets", "patterns"))
    yield from _text_faults(rules.forbidden or (), ("forbidden",))
    if isinstance(rules, Rules):
        yield from _command_faults(rules)


def _path_faults(found: Sequence[PathRule], place: Place) -> Iterator[Fault]:
    yield from _twice([rule.name for rule in found], place)
    for index, rule in enumerate(found):
        # Without regard to case where the rule is asked so.
        globs, here = Globs(rule.globs, folded=place[-1] in ("ask", "forbid")), (*place, index)
        for number, path in enumerate(rule.match):
            if fault := name_fault(path):
                yield (*here, "match", number), f"{shown(path)} can never match: {fault}"
            elif not globs.match(path):
                yield (*here, "match", number), f"rule '{rule.name}' does not match {shown(path)}"
        for number, path in enumerate(rule.not_match):
            if not name_fault(path) and globs.match(path):
                yield (*here, "not_match", number), f"rule '{rule.name}' matches {shown(path)}"


def _text_faults(found: Sequence[TextRule], place: Place) -> Iterator[Fault]:
    yield from _twice([rule.name for rule in found], place)
    for index, rule in enumerate(found):
        for number, text in enumerate(rule.match):
            if not matches(rule, text):
                yield (*place, index, "match", number), f"rule '{rule.name}' finds nothing in its example"
        for number, text in enumerate(rule.not_match):
            if matches(rule, text):
                yield (*place, index, "not_match", number), f"rule '{rule.name}' finds something here"


def _command_faults(rules: Rules) -> Iterator[Fault]:
    paths = PathJudge(rules.paths, rules.changes)
    for name, command in rules.commands.items():
        for wanted, examples in (("match", command.match), ("not_match", command.not_match)):
            for number, values in enumerate(examples):
                refusals = list(value_steps(command, values, paths, f"commands.{name}"))
                place = ("commands", name, wanted, number)
                if refusals and wanted == "match":
                    yield place, f"command '{name}' refuses its example: {refusals[0].reason}"
                elif not refusals and wanted == "not_match":
                    yield place, f"command '{name}' takes what it should refuse"


def _twice(names: Sequence[str], place: Place) -> Iterator[Fault]:
    for name, count in Counter(names).items():
        if count > 1:
            yield (
                (*place, names.index(name), "name"),
                f"'{name}' is the name of {count} rules; decisions tell them apart by it",
            )
