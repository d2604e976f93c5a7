"""Division of cores as a pure function, and pinning of real processes."""

import os
import subprocess
import sys

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.engines.vllm.pinning import CorePlan, born_on, compute_threads, pin, plan_cores

cores = st.sets(st.integers(0, 255), min_size=1, max_size=64)
asked = st.one_of(st.sampled_from(["auto", "off"]), st.lists(st.integers(0, 255), max_size=8))


@given(cores, asked)
def test_a_plan_leaves_something_for_both_or_pins_nobody(usable, asked):
    plan = plan_cores(usable, asked)
    assert bool(plan.engine) == bool(plan.rest)
    assert plan.engine | plan.rest <= usable
    if plan.engine and plan.engine != usable:
        assert not plan.engine & plan.rest
        assert plan.engine | plan.rest == usable


@given(cores)
def test_auto_pins_few_cores_only(usable):
    assert bool(plan_cores(usable, "auto").engine) == (2 <= len(usable) <= 8)


@pytest.mark.parametrize(
    ("n", "engine", "rest"),
    [(2, {1}, {0}), (3, {1, 2}, {0}), (4, {1, 2, 3}, {0}), (8, {2, 3, 4, 5, 6, 7}, {0, 1})],
)
def test_a_quarter_moves_bytes_and_the_rest_computes(n, engine, rest):
    assert plan_cores(range(n), "auto") == CorePlan(frozenset(engine), frozenset(rest))


def test_cores_that_were_asked_for():
    assert plan_cores(range(64), [3, 4]).engine == {3, 4}
    assert plan_cores(range(4), [2, 99]) == CorePlan(frozenset({2}), frozenset({0, 1, 3}))
    assert plan_cores(range(4), [99]) == CorePlan()
    # All of them for the engine: the others then share them.
    assert plan_cores(range(2), [0, 1]) == CorePlan(frozenset({0, 1}), frozenset({0, 1}))


@pytest.mark.parametrize(
    ("engine", "usable", "siblings", "threads"),
    [
        ({1}, 2, 1, 1),
        ({1, 2, 3}, 4, 1, 3),
        ({2, 3, 4, 5, 6, 7}, 8, 2, 3),
        ({1}, 2, 2, 1),
        ((), 4, 1, 3),
        ((), 1, 1, 1),
    ],
)
def test_a_thread_for_each_physical_core_of_the_engine(monkeypatch, engine, usable, siblings, threads):
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: usable if logical else usable // siblings)
    assert compute_threads(CorePlan(frozenset(engine)), range(usable)) == threads


@pytest.fixture
def own_cores():
    """The cores of this process, given back afterwards."""
    before = os.sched_getaffinity(0)
    yield before
    pin([os.getpid()], frozenset(before))


@pytest.fixture
def child():
    process = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.communicate()


def test_pin_binds_another_process_and_skips_one_that_has_gone(own_cores, child):
    gone = subprocess.Popen(["true"])
    gone.wait()
    core = frozenset({max(own_cores)})
    pin([gone.pid, child.pid], core)
    assert os.sched_getaffinity(child.pid) == core
    pin([child.pid], frozenset())
    assert os.sched_getaffinity(child.pid) == core


def test_children_are_born_on_the_engines_cores(own_cores):
    engine, rest = frozenset({max(own_cores)}), frozenset({min(own_cores)})
    with born_on(engine, then=rest):
        said = subprocess.run(
            [sys.executable, "-S", "-c", "import os; print(*os.sched_getaffinity(0))"],
            capture_output=True,
            check=True,
        ).stdout
    assert {int(core) for core in said.split()} == engine
    assert os.sched_getaffinity(0) == rest


def test_without_a_plan_nothing_is_pinned(own_cores):
    with born_on(frozenset(), then=frozenset()):
        assert os.sched_getaffinity(0) == own_cores
    assert os.sched_getaffinity(0) == own_cores
