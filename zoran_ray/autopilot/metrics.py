"""What the process of tasks counts, as Prometheus text. Told of events; knows no store and no page.

Labels are states, modes and outcomes alone: no owner, no repository, no text.
"""

from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from zoran_ray.autopilot.engineer import AttemptOutcome
from zoran_ray.autopilot.lapses import LAPSED
from zoran_ray.autopilot.rows import TRANSITION
from zoran_ray.autopilot.task import Mode, State, Task
from zoran_ray.autopilot.tasks import ATTEMPT
from zoran_ray.telemetry import names


class TaskMetrics:
    """Counts from the start of this process; what stands in the file of tasks is told at each look."""

    def __init__(self) -> None:
        self._registry = r = CollectorRegistry()
        of_task = (names.STATE, names.MODE)
        self._tasks = Gauge(names.TASKS, "Tasks there are, by where they stand.", of_task, registry=r)
        self._ended = Counter(names.TASKS_ENDED, "Tasks that came to an end.", of_task, registry=r)
        self._attempts = Counter(
            names.TASK_ATTEMPTS,
            "Tries of edits, by how far they came; what is tested was drafted before.",
            (names.OUTCOME,),
            registry=r,
        )
        self._lapses = Counter(
            names.TASK_LAPSES, "Workers that ended without a word on a task.", registry=r
        )
        self._jobs = Counter(names.TASK_JOBS, "The sandbox's jobs for tasks.", (names.OUTCOME,), registry=r)
        self._took = Histogram(
            names.TASK_JOB_DURATION,
            "How long such a job took, from its start to the last copied file.",
            buckets=names.JOB_BUCKETS,
            registry=r,
        )

    def heard(self, task: Task, kind: str, data: Mapping[str, Any]) -> None:
        """Counts an event, see `Heard`."""
        if kind == TRANSITION and task.finished:
            self._ended.labels(task.state.value, task.mode.value).inc()
        elif kind == LAPSED:
            self._lapses.inc()
        elif kind == ATTEMPT:
            self._attempts.labels(AttemptOutcome(data["outcome"]).value).inc()

    def ran(self, outcome: str, seconds: float) -> None:
        """Counts a job of the sandbox. Args: outcome: One of `JOB_OUTCOMES`."""
        assert outcome in names.JOB_OUTCOMES
        self._jobs.labels(outcome).inc()
        self._took.observe(seconds)

    def text(self, standing: Mapping[tuple[State, Mode], int]) -> str:
        """Everything, in Prometheus's text format. Args: standing: How many tasks there are of each."""
        for state in State:
            for mode in Mode:
                self._tasks.labels(state.value, mode.value).set(standing.get((state, mode), 0))
        return generate_latest(self._registry).decode()
