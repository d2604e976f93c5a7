"""Runs contenders over instances within equal budgets, and says how many answers were right."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.reasoning.contenders import SINGLE, Contender
from benchmarks.reasoning.intervals import paired, wilson
from benchmarks.reasoning.model import Timed
from benchmarks.reasoning.tasks.task import Instance
from zoran_ray.errors import ZoranError
from zoran_ray.reasoning.budget import Budget, Purse
from zoran_ray.reasoning.completion import Complete, Used
from zoran_ray.reasoning.judging import bounded
from zoran_ray.reasoning.strategy import Ask
from zoran_ray.reasoning.trace import Trace
from zoran_ray.reasoning.verifier import Verdict
from zoran_ray.reasoning.verifiers import verifier_of

_GRADING_S = 30.0
_NOTHING = Verdict(False, "There is no answer.")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one instance.

    Attributes:
        right: Whether the verifier, asked from outside, found the answer right.
        ended: Why the strategy ended; `error:…` without an answer, `ungraded` where the verifier failed.
        used: What its budget was charged. A call that was cancelled is charged all that it might have used.
        heard_tokens: Tokens of the calls that ended.
        wall_s: How long it took, in seconds.
        busy_s: Of that, time in which the model was asked, in seconds.
        calls_s: All calls' times added up, in seconds.
        requests: Calls of the model as it was asked; one for several answers counts once.
    """

    right: bool
    ended: str
    used: Used
    heard_tokens: int
    wall_s: float
    busy_s: float
    calls_s: float
    requests: int

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def outcome_of(data: Mapping[str, Any]) -> Outcome:
    """What `Outcome.as_json` was made of."""
    return Outcome(**{**data, "used": Used(**data["used"])})


async def run(
    contender: Contender,
    instances: Sequence[Instance],
    model: Complete,
    budget: Budget,
    *,
    at_once: int = 4,
    limit_s: float = 120.0,
    seed: int = 0,
) -> list[Outcome]:
    """One outcome for each instance. An instance that fails is a wrong answer, never left out.

    Args:
        budget: Of each instance.
        at_once: Instances that run at the same time.
        limit_s: Longest for one instance, in seconds.
    """
    room = asyncio.Semaphore(at_once)

    async def one(place: int, instance: Instance) -> Outcome:
        async with room:
            return await _outcome(contender, instance, model, budget, limit_s, seed + 1_000 * place)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(place, each)) for place, each in enumerate(instances)]
    return [task.result() for task in tasks]


async def _outcome(
    contender: Contender, instance: Instance, model: Complete, budget: Budget, limit_s: float, seed: int
) -> Outcome:
    strategy = contender.made(seed)
    verifier = verifier_of(instance.verifier)
    timed, purse, began = Timed(model), Purse(budget, time.monotonic), time.perf_counter()
    ask = Ask(timed, purse, Trace(), time.monotonic() + limit_s)
    try:
        answer = await strategy.answer(instance.messages, ask, verifier if contender.judged else None)
        text, ended = answer.text, answer.ended
    except ZoranError as error:
        text, ended = "", f"error:{error.code}"
    wall_s = time.perf_counter() - began
    verdict = await bounded(verifier, _GRADING_S)(text) if text else _NOTHING
    if verdict is None:
        ended = "ungraded"
    right = verdict is not None and verdict.ok
    heard = sum(call.answer.used.tokens for call in ask.trace.calls)
    return Outcome(right, ended, purse.used, heard, wall_s, timed.busy_s, timed.calls_s, timed.requests)


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Share of right answers with its 95 % interval (Wilson), and what an instance used on average."""
    of, right = len(outcomes), sum(each.right for each in outcomes)
    low, high = wilson(right, of)
    total = sum((each.used for each in outcomes), Used())
    requests = sum(each.requests for each in outcomes)
    outside_s = sum(each.wall_s - each.busy_s for each in outcomes)
    return {
        "right": right,
        "of": of,
        "share": round(right / of, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "calls": round(total.calls / of, 2),
        "tokens": round(total.tokens / of, 1),
        "heard_tokens": round(sum(each.heard_tokens for each in outcomes) / of, 1),
        "prompt_tokens": round(total.prompt_tokens / of, 1),
        "cached_share": round(total.cached_tokens / max(1, total.prompt_tokens), 4),
        "wall_s": round(sum(each.wall_s for each in outcomes) / of, 4),
        "calls_s": round(sum(each.calls_s for each in outcomes) / of, 4),
        "outside_model_ms_per_request": round(1_000 * outside_s / max(1, requests), 3),
        "ended": dict(Counter(each.ended for each in outcomes)),
    }


def results(found: Mapping[str, Sequence[Outcome]]) -> dict[str, Any]:
    """All contenders; beside the single answer, how many instances each wins and loses against it.

    `gain` is the difference of the shares with its 95 % interval, by paired bootstrap over the instances.
    """
    single = found.get(SINGLE)
    said: dict[str, Any] = {}
    for name, outcomes in found.items():
        said[name] = summary(outcomes)
        if single is not None and name != SINGLE:
            pairs = list(zip(outcomes, single, strict=True))
            said[name]["won"] = sum(mine.right and not its.right for mine, its in pairs)
            said[name]["lost"] = sum(its.right and not mine.right for mine, its in pairs)
            said[name]["gain"] = [round(each, 4) for each in paired(rights(outcomes), rights(single))]
    return said


def rights(outcomes: Sequence[Outcome]) -> list[float]:
    """1 for each answer that was right, 0 for others."""
    return [float(each.right) for each in outcomes]
