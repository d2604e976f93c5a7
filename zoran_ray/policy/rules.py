"""What one rule of a policy looks like: for paths, for texts, for a command. Judges nothing."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from zoran_ray.offers import Frozen
from zoran_ray.policy.globs import checked_glob
from zoran_ray.policy.patterns import compiled

Operation = Literal["read", "add", "modify", "delete"]
"""What is done with a file. A rename deletes one and adds another."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.:-]{0,63}$")]
"""A name of a rule, a command, an action: small letters, digits, `_`, `.`, `:` and `-`."""
Glob = Annotated[str, AfterValidator(checked_glob)]
Example = Annotated[str, StringConstraints(max_length=4096)]


class PathRule(Frozen):
    """Which files it is about. In the style of gitignore; see the head of the shipped policy."""

    name: Name
    """What decisions call it."""
    globs: tuple[Glob, ...] = Field(min_length=1, max_length=256)
    """Path patterns: one that matches is enough."""
    on: tuple[Operation, ...] = Field(default=("add", "modify", "delete"), min_length=1)
    """What is done with the file, for the rule to be about it."""
    why: str = Field(default="", max_length=500)
    """For people who meet the rule."""
    match: tuple[Example, ...] = Field(default=(), max_length=100)
    """Paths that it must match; tried when the policy is read."""
    not_match: tuple[Example, ...] = Field(default=(), max_length=100)
    """Paths that it must not match."""


class TextRule(Frozen):
    """What must not be in a text: a line added by a diff, a message, a log."""

    name: Name
    """What decisions call it. They never show what was found."""
    pattern: str = Field(min_length=1)
    """A Python regular expression, searched for. Repeats need an upper bound, no back references."""
    ignore_case: bool = False
    why: str = Field(default="", max_length=500)
    """For people who meet the rule."""
    match: tuple[Example, ...] = Field(default=(), max_length=100)
    """Texts in which it must find something; tried when the policy is read."""
    not_match: tuple[Example, ...] = Field(default=(), max_length=100)
    """Texts in which it must find nothing."""

    @model_validator(mode="after")
    def _is_bounded(self) -> "TextRule":
        compiled(self.pattern, self.ignore_case)
        return self


class Placeholder(Frozen):
    """What a model may put into a command. Never empty, with no `-` at its start, no control character."""

    type: Literal["text", "path", "integer", "choice"]
    """`path` is relative to the repository, and one that may be read."""
    pattern: str = ""
    """For text, demanded: what the whole value must match. For a path, if anything besides."""
    choices: tuple[str, ...] = Field(default=(), max_length=256)
    """For a choice: the values there are."""
    least: int = Field(default=0, ge=0)
    """For an integer."""
    most: int = Field(default=1_000_000, ge=0)
    """For an integer."""
    max_length: int = Field(default=200, ge=1, le=4096)
    """Longest value, in characters."""
    max_values: int = Field(default=1, ge=1, le=256)
    """Most values, each an argument of its own; more than one where the placeholder is a whole argument."""

    @model_validator(mode="after")
    def _is_whole(self) -> "Placeholder":
        if self.pattern:
            compiled(self.pattern)
        if self.type == "text" and not self.pattern:
            raise ValueError("a text needs a pattern that the whole value must match")
        if (self.type == "choice") != bool(self.choices):
            raise ValueError("choices are for a choice, and it needs some")
        return self


Values = dict[str, str | int | tuple[str, ...]]
"""What a model gives for placeholders."""

PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]{0,31})\}")
_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "ash", "fish", "csh", "tcsh", "cmd", "powershell"})
_LAUNCHERS = frozenset({"env", "xargs", "sudo", "su", "busybox", "nohup", "setsid", "pwsh", "eval"})
_CODE_OPTION = re.compile(r"(?:-[A-Za-z]{0,2}[ce]|--(?:eval|exec|command|print))(=?\{[a-z].*)?")


class Command(Frozen):
    """A command that a model may name. It runs without a shell."""

    argv: tuple[str, ...] = Field(min_length=1, max_length=256)
    """Program and arguments; `{name}` in an argument stands for the value of a placeholder."""
    placeholders: dict[str, Placeholder] = Field(default={}, max_length=32)
    timeout_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Unset: what the sandbox has."""
    why: str = Field(default="", max_length=500)
    """For people, and for the model that chooses."""
    match: tuple[Values, ...] = Field(default=(), max_length=100)
    """Values that must be taken; tried when the policy is read."""
    not_match: tuple[Values, ...] = Field(default=(), max_length=100)
    """Values that must be refused."""

    @field_validator("argv")
    @classmethod
    def _runs_no_shell(cls, argv: tuple[str, ...]) -> tuple[str, ...]:
        program = argv[0].rpartition("/")[2].lower().removesuffix(".exe")
        if not program or program in _SHELLS | _LAUNCHERS:
            raise ValueError(f"'{program}' runs other programs; name the program itself")
        if any("\0" in each or not each for each in argv):
            raise ValueError("an argument is not empty and holds no NUL")
        if names_in(argv[:1]):
            raise ValueError("the program itself has no placeholder")
        for option, value in pairwise((*argv, "")):
            found = _CODE_OPTION.fullmatch(option)
            if found and (found[1] or names_in((value,))):
                raise ValueError("a placeholder may not be code: it stands behind -c, -e or the like")
        return argv

    @model_validator(mode="after")
    def _knows_its_placeholders(self) -> "Command":
        used, known = names_in(self.argv), set(self.placeholders)
        if wrong := sorted(used ^ known):
            told = "is used and not described" if wrong[0] in used else "is described and not used"
            raise ValueError(f"placeholder '{wrong[0][:64]}' {told}")
        for name, each in self.placeholders.items():
            if each.max_values > 1 and f"{{{name}}}" not in self.argv:
                raise ValueError(
                    f"placeholder '{name}' has several values and is only a part of an argument"
                )
        return self


def names_in(argv: Sequence[str]) -> set[str]:
    """The placeholders in some arguments."""
    return {name for argument in argv for name in PLACEHOLDER.findall(argument)}
