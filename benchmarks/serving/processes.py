"""What processes cost: CPU seconds, resident memory, open files, and which cores they may use."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePath

import psutil

Groups = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Usage:
    """What one process holds at one moment, and the cores it may use."""

    pid: int
    name: str
    rss_bytes: int
    files: int
    cores: list[int]


def tree(pid: int) -> list[psutil.Process]:
    """`pid` and everything below it that lives; empty if it is gone."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def title(process: psutil.Process) -> str:
    """What the process calls itself: its whole command line, or its name where that is hidden."""
    try:
        return " ".join(process.cmdline()) or process.name()
    except psutil.Error:
        return ""


def cpu_seconds(pids: Iterable[int]) -> dict[int, float]:
    """User + system CPU seconds since each process started; only of those that live."""
    seconds = {}
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            times = psutil.Process(pid).cpu_times()
            seconds[pid] = times.user + times.system
    return seconds


def usage(pids: Iterable[int]) -> list[Usage]:
    """Memory and open files of those that live."""
    found = []
    for pid in pids:
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                name = PurePath(title(process).split(" --")[0]).name[:60]
                rss, files = process.memory_info().rss, process.num_fds()
            found.append(Usage(pid, name, rss, files, sorted(os.sched_getaffinity(pid))))
        except (psutil.Error, ProcessLookupError):
            continue
    return found


@contextmanager
def pinned(
    engine: Iterable[int], engine_cores: Iterable[int], rest: Iterable[int], rest_cores: Iterable[int]
) -> Iterator[None]:
    """Every thread of `engine` on `engine_cores` and of `rest` on `rest_cores`, as `taskset -a` does it.

    Afterwards each thread may run where it could before. Process ids and core numbers.
    """
    before = {}
    for pids, cores in ((engine, set(engine_cores)), (rest, set(rest_cores))):
        for tid in _threads(pids):
            with suppress(ProcessLookupError):
                before[tid] = os.sched_getaffinity(tid)
                os.sched_setaffinity(tid, cores)
    try:
        yield
    finally:
        for tid, cores in before.items():
            with suppress(ProcessLookupError):
                os.sched_setaffinity(tid, cores)


def _threads(pids: Iterable[int]) -> Iterator[int]:
    for pid in pids:
        with suppress(FileNotFoundError):
            yield from [int(entry.name) for entry in Path(f"/proc/{pid}/task").iterdir()]
