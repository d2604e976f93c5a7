"""Playbooks: several steps towards one answer, as a file describes them. Knows no model.

A prompt is text with blanks: `{question}` and `{step.NAME}` of an earlier step. Nothing else in it means
anything: no code, no attributes, no formats. What is put into a blank is not looked at for blanks again.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from zoran_ray.config.document import Document, Location
from zoran_ray.config.validation import nearest, validated
from zoran_ray.errors import ConfigError, InvalidRequest
from zoran_ray.reasoning.budget import Budget
from zoran_ray.reasoning.parameters import MOST_TOKENS
from zoran_ray.reasoning.strategy import Strategy
from zoran_ray.reasoning.verifiers import verifier_of

MOST_STEPS = 16
MOST_RETRIES = 5
"""Of one check."""
MOST_PROMPT = 8_000
"""Longest prompt, in characters, before its blanks are filled."""
QUESTION = "question"
_STEP = "step."
_BLANK = re.compile(r"\{([A-Za-z_][\w.\-]{0,80})\}")
_NANO_PER_USD = 10**9

Place = Callable[[Location], str]
Make = Callable[[str, Mapping[str, Any], Place], Strategy]
"""Makes a named strategy. Raises: ConfigError: It cannot be made; begins with its place."""
Prompt = Annotated[str, Field(min_length=1, max_length=MOST_PROMPT)]


class _Fields(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class _Named(_Fields):
    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")
    """As `{step.NAME}` and other steps call it."""


class AskStep(_Named):
    """One call of the model."""

    ask: Prompt
    alone: bool = False
    """Whether the model sees this prompt without the conversation (its system messages excepted)."""
    temperature: float | None = Field(default=None, ge=0, le=2, allow_inf_nan=False)
    """Unset: as the request says, or 0."""
    max_tokens: int | None = Field(default=None, ge=1, le=MOST_TOKENS)
    """Longest answer in tokens. Unset: as the request says, or 512."""


class StrategyStep(_Named):
    """A named strategy answers."""

    strategy: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    prompt: Prompt | None = None
    """What it is asked. Unset: the conversation as it is."""
    alone: bool = False
    """Whether it sees the prompt without the conversation (its system messages excepted)."""


class RetrieveStep(_Named):
    """Passages from what the caller may search, between marks, as data."""

    retrieve: Prompt
    """What is looked for."""
    limit: int = Field(default=5, ge=1, le=20)
    """Most passages."""
    chars: int = Field(default=8_000, ge=200, le=100_000)
    """Longest text of all of them together, in characters."""


class CheckStep(_Named):
    """A verifier judges what a step gave. A wrong answer is tried again with what the judge said."""

    check: str
    """The step that is judged."""
    by: Literal["request", "model", "citations"] | dict[str, Any] = "request"
    """`request`: the verifier that the request brings, if any. `model`: the model itself, which the answer
    says. `citations`: numbers of retrieved passages. Else a verifier as `zoran.verifier` describes it."""
    criteria: Prompt | None = None
    """For `model`: what the answer must do."""
    retries: int = Field(default=0, ge=0, le=MOST_RETRIES)
    """How often the step, and all between it and this check, are done again."""
    otherwise: Literal["go-on", "stop"] = "go-on"
    """What becomes of an answer that does not pass in the end."""


Step = AskStep | StrategyStep | RetrieveStep | CheckStep
_KINDS: Mapping[str, type[Step]] = {
    "ask": AskStep,
    "strategy": StrategyStep,
    "retrieve": RetrieveStep,
    "check": CheckStep,
}


class _Bounds(_Fields):
    """The most that one answer may use, whatever the request allows."""

    calls: int | None = Field(default=None, ge=1, le=1_000)
    tokens: int | None = Field(default=None, ge=1, le=10**9)
    usd: float | None = Field(default=None, ge=0, le=1_000_000, allow_inf_nan=False)
    wall_s: float | None = Field(default=None, gt=0, le=86_400, allow_inf_nan=False)

    def budget(self) -> Budget:
        nano = None if self.usd is None else math.floor(self.usd * _NANO_PER_USD)
        return Budget(self.tokens, nano, self.wall_s, self.calls)


class _Head(_Fields):
    about: str = Field(min_length=1, max_length=500)
    budget: _Bounds = _Bounds()
    answer: str | None = None
    fallback: str | None = None
    steps: list[dict[str, Any]] = Field(min_length=1, max_length=MOST_STEPS)


@dataclass(frozen=True, slots=True)
class Playbook:
    """A playbook.

    Attributes:
        about: For people.
        steps: In their order.
        answer: Name of the step whose text is the answer.
        fallback: The one whose text is, where that step was not reached. Unset: the last text of any.
        budget: Bounds of one answer.
    """

    name: str
    about: str
    steps: tuple[Step, ...] = field(repr=False)
    answer: str
    fallback: str | None
    budget: Budget

    def place(self, name: str) -> int:
        """Which step it is, from 0."""
        return next(place for place, step in enumerate(self.steps) if step.name == name)


def filled(prompt: str, question: str, texts: Mapping[str, str]) -> str:
    """The prompt with its blanks filled.

    Args:
        question: For `{question}`.
        texts: For `{step.NAME}`, by name; a step that has not been done has none.
    """

    def put(match: re.Match[str]) -> str:
        blank = match[1]
        return question if blank == QUESTION else texts.get(blank.removeprefix(_STEP), "")

    return _BLANK.sub(put, prompt)


def playbook_of(name: str, document: Document, make: Make) -> Playbook:
    """The playbook that a file describes.

    Args:
        name: Of the playbook.
        document: The file.
        make: Makes the strategies of its steps, to see that they can be made.

    Raises:
        ConfigError: Something in it is wrong; says file, line and field.
    """
    head = validated(_Head, document.data, document.place)
    steps = tuple(_step(data, place, document.place) for place, data in enumerate(head.steps))
    for place, step in enumerate(steps):
        _check(step, steps[:place], _within(document.place, place), make)
    tellers = [step.name for step in steps if isinstance(step, AskStep | StrategyStep)]
    if not tellers:
        raise ConfigError(f"{document.place(('steps',))}: steps: no step gives an answer; add an 'ask'.")
    for member, named in (("answer", head.answer), ("fallback", head.fallback)):
        if named is not None and named not in tellers:
            where, hint = document.place((member,)), nearest(named[:64], tellers)
            raise ConfigError(f"{where}: {member}: no such 'ask' or 'strategy' step; {hint}", param=member)
    answer = head.answer or tellers[-1]
    return Playbook(name, head.about, steps, answer, head.fallback, head.budget.budget())


def _step(data: Mapping[str, Any], place: int, where: Place) -> Step:
    here = _within(where, place)
    kinds = [kind for kind in _KINDS if kind in data]
    if len(kinds) != 1:
        found = f"both '{kinds[0]}' and '{kinds[1]}'" if kinds else "none of them"
        close = nearest(next(iter(data.keys() - {"name"}), "")[:64], list(_KINDS))
        raise ConfigError(
            f"{here(())}: steps[{place}]: a step has one of ask, strategy, retrieve and check; this has"
            f" {found}; {close}",
            param="steps",
        )
    return validated(_KINDS[kinds[0]], data, here)


def _check(step: Step, before: Sequence[Step], here: Place, make: Make) -> None:
    """Raises: ConfigError: The step means something that is not there."""
    names = [each.name for each in before]
    if step.name in names:
        raise ConfigError(f"{here(('name',))}: name: another step is called '{step.name}'.", param="name")
    for member in ("ask", "prompt", "retrieve", "criteria"):
        for blank in _BLANK.findall(getattr(step, member, None) or ""):
            known = [QUESTION, *(_STEP + name for name in names)]
            if blank not in known:
                hint = nearest(blank, known)
                raise ConfigError(f"{here((member,))}: {member}: no such blank {{{blank}}}; {hint}")
    match step:
        case StrategyStep():
            make(step.strategy, step.parameters, here)
        case CheckStep():
            _check_check(step, before, here)
        case _:
            pass


def _check_check(step: CheckStep, before: Sequence[Step], here: Place) -> None:
    judged = [each.name for each in before if isinstance(each, AskStep | StrategyStep)]
    if step.check not in judged:
        hint = nearest(step.check[:64], judged) if judged else "there is none before it."
        raise ConfigError(f"{here(('check',))}: check: no such 'ask' or 'strategy' step; {hint}")
    if step.by == "citations" and not any(isinstance(each, RetrieveStep) for each in before):
        raise ConfigError(f"{here(('by',))}: by: nothing is retrieved before it that could be cited.")
    if step.criteria is not None and step.by != "model":
        raise ConfigError(f"{here(('criteria',))}: criteria: they are for 'by: model' alone.")
    if isinstance(step.by, dict):
        try:
            verifier_of(step.by)
        except (ConfigError, InvalidRequest) as error:
            raise ConfigError(f"{here(('by',))}: by: {error.message}", param="by") from None
        except (TypeError, ValueError):
            raise ConfigError(f"{here(('by',))}: by: this is no verifier.", param="by") from None


def _within(where: Place, place: int) -> Place:
    return lambda path: where(("steps", place, *path))
