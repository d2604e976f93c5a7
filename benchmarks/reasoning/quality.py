"""Every contender of every task on the same held-out instances, within equal budgets, turn about."""

from collections.abc import Mapping, Sequence
from functools import cache, partial
from itertools import chain
from typing import Any

from benchmarks.reasoning.contenders import Contender, contenders
from benchmarks.reasoning.engine import EngineModel
from benchmarks.reasoning.parts import Parts
from benchmarks.reasoning.running import Outcome, outcome_of, results, rights, run
from benchmarks.reasoning.scale import BLOCK, SEED, Scale
from benchmarks.reasoning.tasks import TASKS
from benchmarks.reasoning.tasks.task import Instance, held_out_instances
from zoran_ray.reasoning.budget import Budget

AT_ONCE = 8
"""Instances under way at the same time."""
LIMIT_S = 120.0
"""Longest for one instance, in seconds."""
_PUZZLE = "countdown"
"""A tree needs room for more than one branch: its task has twice the budget, for all contenders."""

Found = Mapping[str, Mapping[str, list[Outcome]]]
"""By what is equal (`calls`, `tokens`), by contender: an outcome for each instance."""


def budgets(task: str, scale: Scale) -> dict[str, Budget]:
    """The budgets that contenders of a task are compared at."""
    times = 2 if task == _PUZZLE else 1
    return {"calls": Budget(calls=times * scale.calls), "tokens": Budget(tokens=times * scale.tokens)}


@cache
def drawn(task: str, count: int) -> Sequence[Instance]:
    """Held-out instances, levels in turn, so that every part of them has all levels."""
    levels = TASKS[task].levels
    each = [
        held_out_instances(TASKS[task], level, -(-count // levels), SEED) for level in range(1, levels + 1)
    ]
    return tuple(chain.from_iterable(zip(*each, strict=True)))[:count]


async def measured(model: EngineModel, name: str, scale: Scale, parts: Parts) -> Mapping[str, Found]:
    """All tasks, by name.

    Args:
        name: The model's, for the parts.
    """
    found: dict[str, dict[str, dict[str, list[Outcome]]]] = {}
    for task in TASKS:
        instances = drawn(task, scale.puzzles if task == _PUZZLE else scale.instances)
        for first in range(0, len(instances), BLOCK):
            block = instances[first : first + BLOCK]
            for equal, budget in budgets(task, scale).items():
                for who in _in_turn(contenders(task, budget, scale.max_tokens), first // BLOCK):
                    made = partial(_block, who, block, model, budget, SEED + 1_000 * first)
                    part = f"{name}: {task}, equal {equal}, {who.name}, from {first}"
                    outcomes = map(outcome_of, await parts.part(part, made))
                    of_budget = found.setdefault(task, {}).setdefault(equal, {})
                    of_budget.setdefault(who.name, []).extend(outcomes)
    return found


def _in_turn(who: Sequence[Contender], turn: int) -> list[Contender]:
    """Another one begins each time: what the machine does meanwhile meets all of them."""
    first = turn % len(who)
    return [*who[first:], *who[:first]]


async def _block(
    who: Contender, block: Sequence[Instance], model: EngineModel, budget: Budget, seed: int
) -> list[dict[str, Any]]:
    await model.forget()  # of what the others asked
    outcomes = await run(who, block, model, budget, at_once=AT_ONCE, limit_s=LIMIT_S, seed=seed)
    return [each.as_json() for each in outcomes]


def told(task: str, found: Found, scale: Scale) -> dict[str, Any]:
    """Shares, intervals and what was used, of one task, for JSON; `rights` has every instance."""
    return {
        equal: {
            "most": getattr(budgets(task, scale)[equal], equal),
            "contenders": results(of_budget),
            "rights": {name: rights(outcomes) for name, outcomes in of_budget.items()},
        }
        for equal, of_budget in found.items()
    }
