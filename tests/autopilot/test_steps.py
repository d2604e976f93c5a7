"""Steps that the world sees are taken once, whatever ends when."""

import contextlib
import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from zoran_ray.autopilot import Lease, Mode, Tasks, once, task_database
from zoran_ray.errors import LeaseLost


class Ended(BaseException):
    """Stands for the end of the process."""


class World:
    """What others see of the steps: how often each was taken."""

    def __init__(self) -> None:
        self.done: list[Mapping[str, Any]] = []

    def look_up(self, intent: Mapping[str, Any]) -> Mapping[str, Any] | None:
        return {"found": intent["name"]} if intent in self.done else None

    def act(self, intent: Mapping[str, Any]) -> Mapping[str, Any]:
        assert intent not in self.done
        self.done.append(intent)
        return {"found": intent["name"]}


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def tasks(tmp_path: Path, now: list[float]) -> Tasks:
    tmp_path.chmod(0o700)
    tasks = Tasks(task_database(tmp_path), lambda: now[0])
    tasks.create("acme", Mode.OPERATOR, {})
    return tasks


def claimed(tasks: Tasks) -> Lease:
    lease = tasks.claim(60)
    assert lease is not None
    return lease


def test_a_step_is_taken_once_and_remembered(tasks: Tasks) -> None:
    world, lease = World(), claimed(tasks)
    for _ in range(3):
        assert once(tasks, lease, "push", {"name": "a"}, world.look_up, world.act) == {"found": "a"}
    assert world.done == [{"name": "a"}]


def test_what_was_meant_first_holds(tasks: Tasks) -> None:
    world, lease = World(), claimed(tasks)

    def fails(_: Mapping[str, Any]) -> Mapping[str, Any]:
        raise Ended

    with pytest.raises(Ended):
        once(tasks, lease, "push", {"name": "first"}, world.look_up, fails)
    once(tasks, lease, "push", {"name": "second"}, world.look_up, world.act)
    assert world.done == [{"name": "first"}]


@pytest.mark.parametrize("points", list(itertools.product(range(5), repeat=2)))
def test_a_worker_that_ends_anywhere_leaves_no_second_effect(
    tasks: Tasks, now: list[float], points: tuple[int, int]
) -> None:
    world = World()

    def run(dies_at: int) -> None:
        def before(number: int, do: Callable[..., Any]) -> Callable[..., Any]:
            def passed(*args: Any) -> Any:
                if dies_at == number:
                    raise Ended
                result = do(*args)
                if dies_at == number + 1:
                    raise Ended
                return result

            return passed

        lease = claimed(tasks)
        once(tasks, lease, "push", {"name": "a"}, before(0, world.look_up), before(2, world.act))

    for point in (*points, 99):
        with contextlib.suppress(Ended):
            run(point)
        now[0] += 61
    assert world.done == [{"name": "a"}]


def test_a_worker_without_its_lease_does_nothing(tasks: Tasks, now: list[float]) -> None:
    world, slow = World(), claimed(tasks)
    now[0] += 61
    claimed(tasks)
    with pytest.raises(LeaseLost):
        once(tasks, slow, "push", {"name": "a"}, world.look_up, world.act)
    assert world.done == []
