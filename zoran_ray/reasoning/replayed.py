"""Goes through a whole request again, from what `GET /v1/traces/{id}` gives. Asks no model, no server."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zoran_ray.errors import InvalidRequest
from zoran_ray.reasoning.acting import OpenTools, Tools
from zoran_ray.reasoning.budget import Budget, Purse
from zoran_ray.reasoning.completion import Message
from zoran_ray.reasoning.registry import strategy_of
from zoran_ray.reasoning.replay import PATIENCE_S, Replay, calls_of
from zoran_ray.reasoning.searching import RecordedSearch
from zoran_ray.reasoning.strategy import Answer, Ask
from zoran_ray.reasoning.trace import Trace
from zoran_ray.reasoning.verifier import Verifier
from zoran_ray.reasoning.verifiers.recorded import RecordedVerifier
from zoran_ray.tools.calculator import Calculator
from zoran_ray.tools.toolbox import Toolbox

REPLAY_S = 120.0
"""Longest that a replay may take, in seconds."""
_HOUSE = "zoran/"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Budget(_Part):
    calls: int | None = None


class _Tools(_Part):
    allowed: tuple[str, ...] | None = None


class _Asked(_Part):
    strategy: dict[str, Any] = Field(default_factory=dict)
    budget: _Budget = _Budget()
    verifier: dict[str, Any] | None = None
    tools: _Tools = _Tools()


class _Document(_Part):
    """What a replay needs of a trace's document; see `serve_apps.gateway.trace_record`."""

    model: str
    asked: _Asked
    ended: str
    answer: str | None
    verified: bool | None
    messages: tuple[dict[str, Any], ...] = Field(min_length=1)
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Replayed:
    """How a replay went.

    Attributes:
        answer: What came out now.
        same: Whether answer, end and verdict are those of the document.
        calls: Recorded calls that were made again.
        left: Recorded calls that nobody made again.
        trace: What happened.
    """

    answer: Answer
    same: bool
    calls: int
    left: int
    trace: Trace = field(repr=False)


async def replayed(document: Mapping[str, Any], patience_s: float = PATIENCE_S) -> Replayed:
    """Answers the request of a trace with its recorded completions, passages and verdicts.

    Of tools the calculator alone is there: what others showed depends on the world of then.

    Args:
        document: As the server gives it.
        patience_s: See `Replay`.

    Raises:
        InvalidRequest: It is no trace, one without an answer or with parts left out, or no strategy of ours
            made it.
        RecordNotFound: The trace does not have what is asked now: another version of the strategy made it,
            or it had tools that are not here.
    """
    said = _read(document)
    calls = calls_of(document)
    kind, _, reason = said.ended.partition(":")
    replay = Replay(calls, patience_s=patience_s, spent=reason if kind == "budget" else None)
    trace = Trace()
    ask = Ask(
        replay,
        Purse(Budget(calls=said.asked.budget.calls), time.monotonic),
        trace,
        time.monotonic() + REPLAY_S,
        search=_search(document),
        tools=_tools(said.asked.tools),
        calls_tools=any(call.sampling.tools for call in calls),
    )
    name = said.model.removeprefix(_HOUSE).partition(":")[0]
    strategy = strategy_of(name, said.asked.strategy)
    messages: tuple[Message, ...] = said.messages
    verifier = _verifier(document, said.asked.verifier, trace, patience_s)
    answer = await strategy.answer(messages, ask, verifier)
    now = (answer.text, answer.ended, answer.verified)
    same = now == (said.answer, said.ended, said.verified)
    return Replayed(answer, same, len(calls) - replay.left, replay.left, trace)


def _read(document: Mapping[str, Any]) -> _Document:
    try:
        said = _Document.model_validate(document)
    except ValidationError:
        raise InvalidRequest(
            "This is no trace that can be replayed: save one with `zoran traces show ID --json`.",
            param="trace",
        ) from None
    if said.left_out:
        raise InvalidRequest(
            f"The trace was too large, so its {' and '.join(said.left_out)[:64]} were left out: it"
            " cannot be replayed.",
            param="trace",
        )
    if said.answer is None:
        raise InvalidRequest(
            f"The request had no answer ({said.ended[:64]}), so there is nothing to compare.", param="trace"
        )
    return said


def _search(document: Mapping[str, Any]) -> RecordedSearch | None:
    search = RecordedSearch(document)
    return search if search.left else None


def _tools(asked: _Tools) -> OpenTools:
    async def opened() -> Tools:
        wanted = asked.allowed is None or Calculator.name in asked.allowed
        return Toolbox([Calculator()], [Calculator.name] if wanted else [])

    return opened


def _verifier(
    document: Mapping[str, Any], asked: Mapping[str, Any] | None, trace: Trace, patience_s: float
) -> Verifier | None:
    if asked is None:
        return None
    name = asked.get("name" if asked.get("kind") == "own" else "kind")
    return RecordedVerifier(document, str(name), lambda: len(trace.steps), patience_s)
