"""A tree of thoughts against its own calls asked one after the other, on one engine in one run."""

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchmarks.reasoning.contenders import Contender, contenders
from benchmarks.reasoning.engine import EngineModel
from benchmarks.reasoning.intervals import ratio
from benchmarks.reasoning.quality import LIMIT_S, budgets, drawn
from benchmarks.reasoning.scale import SEED, Scale
from benchmarks.reasoning.tasks.task import Instance
from zoran_ray.reasoning.budget import Budget, Purse
from zoran_ray.reasoning.completion import NOTHING_USED, Used
from zoran_ray.reasoning.strategy import Ask
from zoran_ray.reasoning.tot import TreeOfThoughts
from zoran_ray.reasoning.trace import Call, Trace
from zoran_ray.reasoning.verifiers import verifier_of

MOST = 1 / 3
"""Target: the tree's time over that of its calls one after the other."""


async def measured(model: EngineModel, scale: Scale) -> dict[str, Any]:
    """By tree, for each puzzle: seconds of the tree, of its requests in turn, of its answers in turn.

    The prefix cache is emptied before each. Calls that the tree cancelled are not asked again.
    """
    found = {}
    for name, tree in trees(scale).items():
        puzzles = enumerate(drawn("countdown", scale.wall))
        rows = [await _puzzle(model, tree, instance, SEED + place) for place, instance in puzzles]
        found[name] = {"instances": rows, **told(rows)}
    return found


def trees(scale: Scale) -> dict[str, Contender]:
    """The tree that is compared at equal calls, and one that keeps as many states as is usual."""
    budget = budgets("countdown", scale)["calls"]
    tree = next(each for each in contenders("countdown", budget, scale.max_tokens) if each.name == "tot")
    usual = TreeOfThoughts().breadth
    return {
        f"{tree.parameters['breadth']} states a level": tree,
        f"{usual} states a level": replace(tree, parameters={**tree.parameters, "breadth": usual}),
    }


async def _puzzle(model: EngineModel, tree: Contender, instance: Instance, seed: int) -> dict[str, Any]:
    await model.forget()
    trace, strategy, verifier = Trace(), tree.made(seed), verifier_of(instance.verifier)
    ask = Ask(model, Purse(Budget(), time.monotonic), trace, time.monotonic() + LIMIT_S)
    began = time.perf_counter()
    await strategy.answer(instance.messages, ask, verifier)
    tree_s = time.perf_counter() - began
    requests = await in_turn(model, trace.calls)
    answers = await in_turn(model, [one for call in trace.calls for one in single(call)])
    used = sum((call.answer.used for call in trace.calls), NOTHING_USED)
    return {"tree_s": tree_s, "requests": requests, "answers": answers, **_plain(used, trace)}


async def in_turn(model: EngineModel, calls: Sequence[Call]) -> dict[str, Any]:
    """The calls one after the other: seconds, and what they used."""
    await model.forget()
    used, began = NOTHING_USED, time.perf_counter()
    for call in calls:
        used += (await model(call.messages, call.sampling, deadline=math.inf)).used
    wall_s = time.perf_counter() - began
    return {
        "s": wall_s,
        "completion_tokens": used.completion_tokens,
        "prompt_tokens": used.prompt_tokens,
        "cached_tokens": used.cached_tokens,
    }


def single(call: Call) -> list[Call]:
    """A call for several answers as calls for one each, with the seeds that the answers had."""
    sampling = call.sampling
    return [
        replace(
            call,
            sampling=replace(sampling, n=1, seed=None if sampling.seed is None else sampling.seed + place),
        )
        for place in range(sampling.n)
    ]


def told(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Ratios of the times added up with their 95 % intervals, and the share of prompts that was cached."""
    tree = [row["tree_s"] for row in rows]
    prompts = sum(row["prompt_tokens"] for row in rows)
    return {
        "of_requests": ratio(tree, [row["requests"]["s"] for row in rows]),
        "of_answers": ratio(tree, [row["answers"]["s"] for row in rows]),
        "cached_share": sum(row["cached_tokens"] for row in rows) / max(1, prompts),
    }


def _plain(used: Used, trace: Trace) -> dict[str, Any]:
    return {
        "calls": len(trace.calls),
        "sampled": used.calls,
        "completion_tokens": used.completion_tokens,
        "prompt_tokens": used.prompt_tokens,
        "cached_tokens": used.cached_tokens,
    }
