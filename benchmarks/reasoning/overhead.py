"""What strategies cost besides the model: milliseconds a call, with a model that takes no time."""

import asyncio
import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.reasoning.contenders import contenders
from benchmarks.reasoning.quality import LIMIT_S, budgets, drawn
from benchmarks.reasoning.running import Outcome, run
from benchmarks.reasoning.scale import Scale
from benchmarks.reasoning.scripted import Scripted
from benchmarks.reasoning.tasks import TASKS
from benchmarks.serving.stats import percentiles

MOST_MS = 2.0
"""Target: the median of everything but model time, for a model call."""


def measured(scale: Scale) -> dict[str, Any]:
    """By task and contender: calls, and percentiles over the instances of milliseconds a call.

    One instance at a time, and the model answers without waiting. Its own time is taken off: what is left
    is the strategy's, its tools' and its verifier's. A request for n answers is one call.
    """
    return {task: _task(task, scale) for task in TASKS}


def _task(task: str, scale: Scale) -> dict[str, Any]:
    budget = budgets(task, scale)["calls"]
    instances = drawn(task, scale.overhead)
    model = Scripted(task, instances)
    found: dict[str, Any] = {}
    for contender in contenders(task, budget, scale.max_tokens):
        work = run(contender, instances, model, budget, at_once=1, limit_s=LIMIT_S)
        outcomes = asyncio.run(work)
        each = per_call_ms(outcomes)
        calls = statistics.mean(outcome.requests for outcome in outcomes)
        found[contender.name] = {"calls": round(calls, 2), "ms": percentiles(each)}
    return found


def per_call_ms(outcomes: Sequence[Outcome]) -> list[float]:
    """Milliseconds beside the model for each of its calls, an entry for each instance."""
    return [1_000 * (each.wall_s - each.calls_s) / each.requests for each in outcomes if each.requests]


def worst(found: dict[str, Any]) -> float:
    """The highest median of all tasks and contenders, in milliseconds."""
    return max(float(row["ms"]["p50"]) for rows in found.values() for row in rows.values())
