"""Ends tests that hang, notes which lines run, and lets Python look into more folders: a plugin of pytest,
sent into the sandbox as a file.

Knows nothing of ours and is never imported here; `Watch` adds what it is to do at its end. The code under
test can switch it off: then a test that hangs ends with the whole run, and its lines count as not run.
"""

import signal
import sys
import threading
from collections.abc import Generator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

LEAST_S = 1.0
"""A limit is not made shorter than this, in seconds."""

_INSTALLED = ("site-packages", "dist-packages")
"""What folders of installed modules are called. Source: Python's `site`, and Debian's Python policy."""


def look_into(folders: Sequence[str]) -> None:
    """Lets Python find modules in folders: after its own and the tested tree's, before installed ones."""
    installed = (place for place, entry in enumerate(sys.path) if Path(entry).name in _INSTALLED)
    place = next(installed, len(sys.path))
    sys.path[place:place] = [str(Path(folder).absolute()) for folder in folders]


class Limit:
    """Ends each test, and the import of each file of tests, when its time is over.

    Whatever hangs halves the time of the next, so that many can hang and the others still run. What only a
    shortened time ended is skipped: that shows nothing.

    Args:
        limit_s: Longest test, in seconds; its fixtures have as long for themselves.
    """

    def __init__(self, limit_s: float) -> None:
        self._full_s = self._limit_s = limit_s

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Generator[None, Any, Any]:
        """Folders hold files, so only these are timed."""
        if isinstance(collector, pytest.File):
            return (yield from self._limited())
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self) -> Generator[None, Any, Any]:
        """Its fixtures."""
        return (yield from self._limited())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Generator[None, Any, Any]:
        """Itself."""
        return (yield from self._limited())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self) -> Generator[None, Any, Any]:
        """The end of its fixtures."""
        return (yield from self._limited())

    def _limited(self) -> Generator[None, Any, Any]:
        before = signal.signal(signal.SIGALRM, self._end)
        signal.setitimer(signal.ITIMER_REAL, self._limit_s)
        try:
            return (yield)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL if before is None else before)

    def _end(self, number: int, frame: FrameType | None) -> None:
        __tracebackhide__ = True
        limit_s, self._limit_s = self._limit_s, max(self._limit_s / 2, min(self._full_s, LEAST_S))
        said = f"It did not end within {limit_s:g} s."
        if limit_s < self._full_s:
            pytest.skip(said, allow_module_level=True)
        pytest.fail(said)


class Trace:
    """Notes which lines of some files run.

    Args:
        paths: The files, below the folder of this run.
        report: Gets a line for each that ran: the file's place among `paths`, a blank, the line's number.
    """

    def __init__(self, paths: Sequence[str], report: str) -> None:
        self._places = {str(Path(path).absolute()): place for place, path in enumerate(paths)}
        self._report = Path(report).absolute()  # a test may leave the folder
        self._ran: set[tuple[int, int]] = set()
        threading.settrace(self._called)
        sys.settrace(self._called)

    def pytest_sessionfinish(self) -> None:
        """All tests ran."""
        sys.settrace(None)
        with self._report.open("w", encoding="ascii") as report:
            report.writelines(f"{place} {line}\n" for place, line in sorted(self._ran))

    def _called(self, frame: FrameType, event: str, arg: object) -> Any:
        return self._stepped if frame.f_code.co_filename in self._places else None

    def _stepped(self, frame: FrameType, event: str, arg: object) -> Any:
        if event == "line":
            self._ran.add((self._places[frame.f_code.co_filename], frame.f_lineno))
        return self._stepped
