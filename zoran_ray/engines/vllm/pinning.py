"""Which cores an engine's processes may use, and how many threads compute on them.

vLLM's own two processes on a CPU spin. Where cores are few they take the gateway's core as well, and a
token stream through any relay loses a third of its speed. So there such an engine gets some cores and
everything that moves bytes gets the others. An engine of one process goes where there is room.
"""

import contextlib
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import psutil

_FEW_CORES = 8


@dataclass(frozen=True, slots=True)
class CorePlan:
    """Disjoint core numbers; both empty means: do not pin."""

    engine: frozenset[int] = frozenset()
    rest: frozenset[int] = frozenset()


def few_cores(cores: Collection[int]) -> bool:
    """Whether what runs on these cores would be in each other's way."""
    return len(cores) <= _FEW_CORES


def plan_cores(cores: Iterable[int], asked: str | list[int]) -> CorePlan:
    """Divide the usable `cores`.

    Args:
        cores: Cores this process may run on.
        asked: `auto` where cores are few, `off`, or the engine's cores.
    """
    usable = sorted(cores)
    if asked == "off" or len(usable) < 2:
        return CorePlan()
    if isinstance(asked, list):
        engine = frozenset(asked) & frozenset(usable)
        return CorePlan(engine, frozenset(usable) - engine or engine) if engine else CorePlan()
    if not few_cores(usable):
        return CorePlan()
    kept = max(1, len(usable) // 4)
    return CorePlan(frozenset(usable[kept:]), frozenset(usable[:kept]))


def compute_threads(plan: CorePlan, cores: Collection[int]) -> int:
    """Threads that compute: one for each physical core of the engine, or all usable ones but one.

    Args:
        plan: How `cores` are divided.
        cores: Those this process may run on.
    """
    logical = len(plan.engine) or len(cores) - 1
    each = (psutil.cpu_count() or 1) // (psutil.cpu_count(logical=False) or 1)
    return max(1, logical // max(1, each))


def pin(pids: Iterable[int], cores: frozenset[int]) -> None:
    """Bind every thread of these processes to `cores`; processes that have gone are skipped."""
    for pid in pids if cores else ():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            for thread in psutil.Process(pid).threads():
                with contextlib.suppress(ProcessLookupError):
                    os.sched_setaffinity(thread.id, cores)


@contextlib.contextmanager
def born_on(cores: frozenset[int], *, then: frozenset[int]) -> Iterator[None]:
    """Children started inside inherit `cores`, so that they size their thread pools to them."""
    if not cores:
        yield
        return
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        pin([os.getpid()], then)
