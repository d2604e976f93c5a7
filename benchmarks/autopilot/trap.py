"""Kills its own process at a chosen moment of a chosen state, without the code it watches knowing of it.

A moment is anything that leaves a trace outside: a statement of SQLite, a program that is started, a
connection, a request. SQLite's trace and Python's audit events tell of them.
Source: PEP 578; https://docs.python.org/3/library/audit_events.html
"""

import os
import signal
import sqlite3
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_EVENTS = frozenset({"subprocess.Popen", "socket.connect", "http.client.send"})


class Trap:
    """Counts moments by state, and kills at some of them.

    Args:
        kills: By state, the moment at which to die, from 1.
        note: Where the state is written in which it dies.

    Attributes:
        moments: How many there were, by state.
    """

    def __init__(self, kills: Mapping[str, int], note: Path) -> None:
        self.moments: Counter[str] = Counter()
        self._kills = dict(kills)
        self._note = note
        self._state = ""
        self._lock = threading.Lock()

    def enter(self, state: str) -> None:
        """The task stands there now."""
        self._state = state

    def set(self) -> None:
        """Begins to watch this process; nothing ends that."""
        sys.addaudithook(self._hear)

    def _hear(self, event: str, _: tuple[Any, ...]) -> None:
        if event in _EVENTS:
            self.touch()

    def trace(self, db: sqlite3.Connection) -> None:
        """Each statement of a connection is a moment from now on."""
        db.set_trace_callback(lambda _: self.touch())

    def touch(self) -> None:
        """A moment; perhaps the last one."""
        with self._lock:
            self.moments[self._state] += 1
            due = self.moments[self._state] == self._kills.get(self._state)
        if due:
            self._note.write_text(self._state)
            os.kill(os.getpid(), signal.SIGKILL)
