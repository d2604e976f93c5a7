"""Tasks and their events as clients read them. Knows no store."""

from typing import Any

import orjson

from zoran_ray.autopilot import Task, TaskEvent

Row = dict[str, Any]

STILL_HERE = b": still here\n\n"
"""A comment, so that nobody in between takes silence for an end."""


def task_row(task: Task) -> Row:
    """One task among others."""
    asked = task.request.get("mode_asked", task.mode)
    return {
        "id": task.id,
        "object": "task",
        "thread_id": task.thread,
        "state": task.state,
        "before": task.before,
        "finished": task.finished,
        "cancelling": task.cancelling,
        "mode": task.mode,
        "mode_asked": asked,
        "note": _note(task.mode, asked),
        "goal": task.goal,
        "awaiting": task.facts.get("awaiting") if task.state == "awaiting_human" else None,
        "message": task.request["message"],
        "repositories": task.request["repositories"],
        "model": task.request["model"],
        "deploy": task.request.get("deploy"),
        "created_at": int(task.created),
        "updated_at": int(task.updated),
    }


def planned_task_row(task: Task) -> Row:
    """One task with its plan, of several repositories the first one's; None before there is one."""
    return task_row(task) | {"plan": plan_of(task)}


def whole_task_row(task: Task) -> Row:
    """One task with everything that is known of it."""
    return planned_task_row(task) | {"facts": task.facts}


def plan_of(task: Task) -> Row | None:
    """What the model means to do: `text`, and the `files` that it named. None while that is not known."""
    parts = task.facts.get("repositories", ())
    return next((part["plan"] for part in parts if part.get("plan")), None)


def event_row(event: TaskEvent) -> Row:
    """One event; a transition has `from`, `to` and `facts`."""
    return {"id": event.place, "at": event.at, "kind": event.kind, "data": event.data}


def event_frame(event: TaskEvent) -> bytes:
    """An event of a stream. Source: HTML standard, "Server-sent events"."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (
        event.place, event.kind.encode(), orjson.dumps(event_row(event)),
    )  # fmt: skip


def end_frame(task: Task) -> bytes:
    """The last event of a stream: the task is finished."""
    return b"event: end\ndata: %s\n\n" % orjson.dumps({"state": task.state, "task": task.id})


def _note(mode: str, asked: str) -> str | None:
    return None if mode == asked else f"The policy allows '{mode}' here; '{asked}' was asked for."
