import threading

from serve_apps.cluster_gpus import ClusterGpus, GpuCount
from tests.clock import Clock


def test_asks_again_only_when_the_answer_is_old() -> None:
    asked: list[float] = []
    clock = Clock()

    def ask() -> GpuCount:
        asked.append(clock.now)
        return GpuCount(free=float(len(asked)), alive=8)

    gpus = ClusterGpus(ask, clock, deadline_s=10)
    seen = []
    for clock.now in (0.0, 1.0, 1.9, 2.0, 3.0, 5.0):
        seen.append(gpus.count().free)
    assert seen == [1, 1, 1, 2, 2, 3]
    assert asked == [0, 2, 5]


def test_a_failure_leaves_the_last_answer() -> None:
    answers = iter([GpuCount(2, 4)])
    clock = Clock()
    gpus = ClusterGpus(lambda: next(answers), clock, deadline_s=10)
    assert gpus.count() == GpuCount(2, 4)
    clock.now = 9
    assert gpus.count() == GpuCount(2, 4)


def test_a_cluster_that_does_not_answer_is_not_waited_for() -> None:
    answer, asked = threading.Event(), []

    def ask() -> GpuCount:
        asked.append(1)
        answer.wait(30)
        return GpuCount(1, 1)

    clock = Clock()
    gpus = ClusterGpus(ask, clock, deadline_s=0.01)
    for clock.now in (0.0, 3.0, 6.0):
        assert gpus.count() == GpuCount()
    assert len(asked) == 1, "one question at a time"
    answer.set()
    for thread in threading.enumerate():
        if thread.name == "cluster-gpus":
            thread.join(30)
    assert gpus.count() == GpuCount(1, 1)
