"""What was predicted of the strategies, and whether the measurement bears it out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.reasoning.contenders import SAMPLED, SINGLE
from benchmarks.reasoning.intervals import Interval, paired
from benchmarks.reasoning.running import Outcome, rights

ALL = "all tasks"
REACHED, NOT_CERTAIN, MISSED = "reached", "not certain", "**missed**"


@dataclass(frozen=True, slots=True)
class Prediction:
    """That one contender answers more instances than another, or several times as many."""

    task: str
    better: str
    than: str = SINGLE
    times: float = 1.0

    def __str__(self) -> str:
        factor = "" if self.times == 1 else f"{self.times:g} × "
        return f"{self.better} above {factor}{self.than}"


PREDICTIONS: Sequence[Prediction] = (
    Prediction(ALL, "self-consistency"),
    Prediction(ALL, "self-consistency", SAMPLED),
    Prediction(ALL, "best-of-n"),
    Prediction("countdown", "tot", times=2.0),
    Prediction("countdown", "tot", "best-of-n"),
    Prediction("calculator", "react"),
    Prediction("implications", "lot"),
    # Best of n with the same verifier is the retry without a reflection.
    Prediction("retries", "reflexion", "best-of-n"),
)


def verdict(interval: Interval) -> str:
    """Of a difference that should be above 0."""
    middle, low, high = interval
    return REACHED if low > 0 else MISSED if high < 0 or middle <= 0 else NOT_CERTAIN


def judged(found: Mapping[str, Mapping[str, Mapping[str, Sequence[Outcome]]]]) -> list[dict[str, Any]]:
    """A row for each prediction and budget.

    Args:
        found: Outcomes by task, budget and contender.
    """
    budgets = next(iter(found.values())).keys()
    return [
        row
        for prediction in PREDICTIONS
        for budget in budgets
        if (row := _judged(prediction, budget, found)) is not None
    ]


def _judged(
    prediction: Prediction, budget: str, found: Mapping[str, Mapping[str, Mapping[str, Sequence[Outcome]]]]
) -> dict[str, Any] | None:
    tasks = list(found) if prediction.task == ALL else [prediction.task]
    ours = _rights(found, tasks, budget, prediction.better)
    theirs = _rights(found, tasks, budget, prediction.than)
    if not ours or len(ours) != len(theirs):
        return None
    interval = paired(ours, theirs, prediction.times)
    return {
        "task": prediction.task,
        "budget": budget,
        "prediction": str(prediction),
        "shares": [round(sum(each) / len(each), 4) for each in (ours, theirs)],
        "of": len(ours),
        "difference": [round(each, 4) for each in interval],
        "verdict": verdict(interval),
    }


def _rights(
    found: Mapping[str, Mapping[str, Mapping[str, Sequence[Outcome]]]],
    tasks: Sequence[str],
    budget: str,
    name: str,
) -> list[float]:
    of_tasks = [rights(found.get(task, {}).get(budget, {}).get(name, ())) for task in tasks]
    # Of several tasks as many instances each: none counts for more because it was asked more often.
    most = min(map(len, filter(None, of_tasks)), default=0)
    return [right for of_task in of_tasks for right in of_task[:most]]
