"""Calls of the model that a task made: what it was asked, said and used, without secrets. Knows no model.

Each is written once, when its answer is there, by whoever holds the lease: a worker that is killed loses
the one under way, and one that has lost the task writes none. Bounded: of a long text the middle is left
out, and of a call for which there is no room the texts.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import orjson

from zoran_ray.autopilot.rows import stored
from zoran_ray.autopilot.tasks import Lease, Tasks
from zoran_ray.reasoning.trace import Call

MOST_TEXT_CHARS = 64 * 1024
MOST_CALL_BYTES = 512 * 1024
MOST_TASK_BYTES = 4 * 1024 * 1024
"""Of the calls of one task. Later ones are kept without their texts."""
MOST_CALLS = 1_000
"""Of one task. Later ones are not kept."""

CallKind = Literal["plan", "edit"]
"""What the model was asked for."""


@dataclass(frozen=True, slots=True)
class Made:
    """A call that was made.

    Attributes:
        repository: Its place among the task's, from 0.
        redact: Takes secrets out of a text.
    """

    repository: int
    kind: CallKind
    call: Call = field(repr=False)
    redact: Callable[[str], str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeptCall:
    """A call that was kept.

    Attributes:
        number: Its place among the task's, from 1.
        at: When its answer was there, Unix time in seconds.
        repository: Its place among the task's, from 0.
        said: Messages, sampling and answer, as `Trace.as_json` has them; `left_out`: without texts.
    """

    number: int
    at: float
    repository: int
    kind: CallKind
    said: Mapping[str, Any] = field(repr=False)


def keep_call(tasks: Tasks, lease: Lease, made: Made) -> None:
    """Writes a call down. Raises: LeaseLost."""
    said = _cleaned(asdict(made.call), made.redact)
    data, bare = stored(said), stored(_without_texts(said))
    if _bytes(data) > MOST_CALL_BYTES:
        data = bare
    with tasks.held(lease) as db:
        calls = "SELECT count(*), coalesce(sum(size), 0) FROM calls WHERE task = ?"
        count, size = db.execute(calls, (lease.task.id,)).fetchone()
        if count >= MOST_CALLS:
            return
        if size + _bytes(data) > MOST_TASK_BYTES:
            data = bare
        row = (lease.task.id, count + 1, tasks.now(), made.repository, made.kind, _bytes(data), data)
        db.execute("INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?, ?)", row)


def kept_calls(tasks: Tasks, task_id: str) -> tuple[KeptCall, ...]:
    """The calls of a task, the oldest first."""
    if not tasks.db.exists():
        return ()
    query = "SELECT number, at, repository, kind, said FROM calls WHERE task = ? ORDER BY number"
    with tasks.db.read() as db:
        rows = db.execute(query, (task_id,)).fetchall()
    return tuple(
        KeptCall(number, at, repository, kind, orjson.loads(said))
        for number, at, repository, kind, said in rows
    )


def _cleaned(value: Any, redact: Callable[[str], str]) -> Any:
    """A value whose texts hold no secret, no half of a character, and not more than they may."""
    if isinstance(value, str):
        return _shortened(redact(value.encode(errors="replace").decode()))
    if isinstance(value, Mapping):
        return {str(name): _cleaned(each, redact) for name, each in value.items()}
    return [_cleaned(each, redact) for each in value] if isinstance(value, (list, tuple)) else value


def _shortened(text: str) -> str:
    """After secrets are out of it: half of one would not be found."""
    if (over := len(text) - MOST_TEXT_CHARS) <= 0:
        return text
    half = MOST_TEXT_CHARS // 2
    return f"{text[:half]}\n[{over} characters are left out]\n{text[-half:]}"


def _without_texts(said: Mapping[str, Any]) -> dict[str, Any]:
    sampling, answer = dict(said["sampling"]), said["answer"]
    bare = {"messages": [], "sampling": sampling | {"stop": [], "tools": []}, "left_out": True}
    return bare | {"answer": {"choices": [], "used": answer["used"]}}


def _bytes(data: str) -> int:
    return len(data.encode())
