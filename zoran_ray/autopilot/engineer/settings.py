"""How an engineer works: sizes and numbers. Knows no model and no repository."""

from dataclasses import dataclass, field

from zoran_ray.autopilot.context import ContextLimits
from zoran_ray.policy import Policy
from zoran_ray.reasoning.budget import Budget
from zoran_ray.reasoning.completion import NOTHING_USED, Used

MOST_TRIES = 3


@dataclass(frozen=True, slots=True)
class EngineerSettings:
    """How an engineer works.

    Attributes:
        limits: How much the model is shown.
        plan_tokens: Longest plan.
        answer_tokens: Longest answer with edits.
        tries: Edits that are tried; the policy may allow fewer.
        whole_tokens: Files are asked for whole where all that are shown have so many tokens at most; 0 for
            never. Small models write whole files far better than blocks.
        temperature: Of the first try; a later one is 0.2 warmer, so that it is another.
    """

    limits: ContextLimits = field(default_factory=ContextLimits)
    plan_tokens: int = 800
    answer_tokens: int = 4_096
    tries: int = MOST_TRIES
    whole_tokens: int = 700
    temperature: float = 0.0


def task_budget(policy: Policy, spent: Used = NOTHING_USED, spent_s: float = 0.0) -> Budget:
    """What a task may still use.

    Args:
        spent: What it used before, as its facts tell.
        spent_s: How long it was worked on before, in seconds.
    """
    most = policy.budgets
    return Budget(
        tokens=max(0, most.tokens - spent.tokens),
        nano_usd=max(0, round(most.usd * 1e9) - spent.nano_usd),
        wall_s=max(0.0, most.wall_s - spent_s),
    )
