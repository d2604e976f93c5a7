"""Makes the arguments of a named command from what a model gives for its placeholders."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoran_ray.policy.decision import STRICTNESS, Decision, Step
from zoran_ray.policy.paths import PathJudge
from zoran_ray.policy.patterns import compiled
from zoran_ray.policy.rules import PLACEHOLDER, Command, Placeholder


@dataclass(frozen=True, slots=True)
class CommandCall:
    """A command that a model named, judged.

    Attributes:
        decision: Whether it may run.
        argv: Program and arguments, to be run without a shell; empty unless it may.
        timeout_s: Longest it may run, in seconds; 0 unless it may.
    """

    decision: Decision
    argv: tuple[str, ...] = ()
    timeout_s: float = 0.0


def value_steps(command: Command, values: Mapping[str, Any], paths: PathJudge, rule: str) -> Iterator[Step]:
    """What the placeholders of a command say to some values.

    Args:
        values: Untrusted: anything that JSON can hold.
        rule: Place of the command in the policy.
    """
    if extra := [name for name in values if name not in command.placeholders]:
        yield Step(rule, "deny", f"it has no placeholder {str(extra[0])[:64]!r}")
    for name, placeholder in command.placeholders.items():
        place = f"{rule}.placeholders.{name}"
        if name not in values:
            yield Step(place, "deny", "no value is given for it")
            continue
        given = _listed(values[name])
        if not 1 <= len(given) <= placeholder.max_values:
            yield Step(place, "deny", f"it takes 1 to {placeholder.max_values} values")
            continue
        for value in given:
            yield from _one_value(place, placeholder, value, paths)


def arguments(command: Command, values: Mapping[str, Any]) -> tuple[str, ...]:
    """The arguments with the values in their places. The values were judged before."""
    found: list[str] = []
    for argument in command.argv:
        whole = PLACEHOLDER.fullmatch(argument)
        if whole:
            found += [str(value) for value in _listed(values[whole[1]])]
        else:
            found.append(PLACEHOLDER.sub(lambda match: str(_listed(values[match[1]])[0]), argument))
    return tuple(found)


def longest_s(command: Command, sandbox_s: float) -> float:
    """How long a command may run in a sandbox with this limit, in seconds."""
    return min(command.timeout_s or math.inf, sandbox_s)


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else (value,)


def _one_value(place: str, placeholder: Placeholder, value: Any, paths: PathJudge) -> Iterator[Step]:
    is_number = isinstance(value, int) and not isinstance(value, bool) and placeholder.type == "integer"
    if fault := _fault(placeholder, value) if isinstance(value, str) or is_number else "it takes text":
        yield Step(place, "deny", fault)
    elif placeholder.type == "path":
        steps = list(paths.steps(str(value), "read"))
        worst = max(steps, key=lambda step: STRICTNESS[step.verdict])
        if worst.verdict != "allow":
            yield Step(place, worst.verdict, f"{worst.reason} ({worst.rule})")


def _fault(placeholder: Placeholder, value: str | int) -> str:
    """What is wrong with one value, without the value; empty if nothing."""
    if isinstance(value, int) and not placeholder.least <= value <= placeholder.most:
        return f"it takes a number from {placeholder.least} to {placeholder.most}"
    text = str(value)
    if not text or len(text) > placeholder.max_length:
        return f"it takes 1 to {placeholder.max_length} characters"
    if text[0] == "-":
        return "a value that begins with '-' would be an option"
    if not text.isprintable():
        return "it takes no control characters"
    if placeholder.pattern and not compiled(placeholder.pattern).fullmatch(text):
        return "the value does not match the pattern"
    match placeholder.type:
        case "choice" if text not in placeholder.choices:
            return f"it takes one of: {', '.join(placeholder.choices)[:200]}"
        case "integer" if not _is_integer(text, placeholder):
            return f"it takes a number from {placeholder.least} to {placeholder.most}"
    return ""


def _is_integer(text: str, placeholder: Placeholder) -> bool:
    is_plain = len(text) <= 12 and text.isascii() and text.isdecimal()
    return is_plain and placeholder.least <= int(text) <= placeholder.most
