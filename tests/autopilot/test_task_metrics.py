"""What is counted of tasks: from real moves and tries, bounded, and without anybody's words."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.autopilot.here import Ended
from tests.autopilot.pilot_bench import RIGHT, WRONG, Bench, bench_in, say
from zoran_ray.autopilot import Mode, State, Tasks, task_database
from zoran_ray.autopilot.counted_runner import CountedRunner
from zoran_ray.autopilot.metrics import TaskMetrics
from zoran_ray.errors import SandboxUnavailable
from zoran_ray.telemetry import names
from zoran_ray.tools.code_runner import NoRunner


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with bench_in(tmp_path) as bench:
        yield bench


def shown(text: str) -> dict[tuple[str, ...], float]:
    """Samples that are not 0, by name and labels' values."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.value and not sample.name.endswith(("_created", "_bucket", "_sum")):
                found[(sample.name, *sample.labels.values())] = sample.value
    return found


def test_a_task_is_counted_from_its_tries_to_its_end(bench: Bench) -> None:
    metrics = TaskMetrics()
    bench.tasks = Tasks(task_database(bench.folder / "state"), lambda: bench.now, metrics.heard)
    bench.runner = CountedRunner(bench.runs, metrics.ran)
    bench.say = lambda prompt, call: say(prompt, call, RIGHT if call > 1 else WRONG)
    bench.begin(Mode.OPERATOR)
    assert bench.run().state is State.PUSHED
    waits = bench.begin(Mode.ADVISOR)
    bench.tasks.cancel("acme", waits.id)
    bench.begin(Mode.AUTOPILOT)
    text = metrics.text(bench.tasks.standing())
    assert shown(text) == {
        ("zoran_tasks", "operator", "pushed"): 1,
        ("zoran_tasks", "advisor", "cancelled"): 1,
        ("zoran_tasks", "autopilot", "received"): 1,
        ("zoran_tasks_ended_total", "operator", "pushed"): 1,
        ("zoran_tasks_ended_total", "advisor", "cancelled"): 1,
        ("zoran_task_attempts_total", "drafted"): 2,
        ("zoran_task_attempts_total", "failed"): 1,
        ("zoran_task_attempts_total", "proven"): 1,
        ("zoran_task_jobs_total", "exited"): 5,
        ("zoran_task_job_duration_seconds_count",): 5,
    }
    for word in ("acme", "calc", bench.remote(), waits.id):
        assert word not in text


def test_it_is_all_there_before_anything_happened() -> None:
    text = TaskMetrics().text({})
    exposed = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert {name for name in exposed if not name.endswith("_created")} == names.TASK_METRICS
    assert text.count("\nzoran_tasks{") == len(State) * len(Mode)


class Ends:
    """A sandbox whose every job ends so."""

    def __init__(self, ended: Ended) -> None:
        self.ended = ended

    async def run(self, *_: object, timeout_s: float) -> Ended:
        return self.ended


@pytest.mark.parametrize(
    ("ended", "outcome"),
    [
        (Ended(1, b"", b"", False, {}), "exited"),
        (Ended(None, b"", b"", True, {}), "timed_out"),
        (Ended(None, b"", b"", False, {}), "killed"),
    ],
)
async def test_how_a_job_ended(ended: Ended, outcome: str) -> None:
    heard: list[str] = []
    runner = CountedRunner(Ends(ended), lambda said, seconds: heard.append(said))
    assert await runner.run({}, ["true"], timeout_s=1) is ended
    assert heard == [outcome]


async def test_a_job_that_cannot_run_is_counted_too() -> None:
    heard: list[str] = []
    runner = CountedRunner(NoRunner(), lambda said, seconds: heard.append(said))
    with pytest.raises(SandboxUnavailable):
        await runner.run({}, ["true"], timeout_s=1)
    assert heard == ["not_run"]
    assert {*heard, "exited", "timed_out", "killed"} == set(names.JOB_OUTCOMES)
