"""What a task's model was asked and said, as a trace of a strategy is told. Knows no store.

The same document as `GET /v1/traces/{id}`: each call is a step too, an edit below its repository's plan.
"""

from collections.abc import Sequence
from dataclasses import asdict

from serve_apps.gateway.task_rows import Row
from zoran_ray.autopilot import Task
from zoran_ray.autopilot.calls import KeptCall
from zoran_ray.reasoning.completion import NOTHING_USED, Used

STRATEGY = "autopilot"


def task_trace(task: Task, calls: Sequence[KeptCall]) -> Row:
    """A task's trace.

    Args:
        calls: The task's, the oldest first.
    """
    model = task.request["model"]
    return {
        "id": task.id, "object": "trace", "created": int(task.created), "model": model,
        "strategy": STRATEGY, "inner_model": model, "ended": task.state, "verified": None,
        "used": asdict(sum(map(_used, calls), NOTHING_USED)),
        "asked": {"mode": task.mode}, "answer": None,
        "detail": {"repositories": task.request["repositories"]}, "messages": [],
        "steps": _steps(task, calls),
        "calls": [{"at": call.at, **_about(call), **call.said} for call in calls],
    }  # fmt: skip


def _steps(task: Task, calls: Sequence[KeptCall]) -> list[Row]:
    rows, plans = [], dict[int, int]()
    for call in calls:
        parent = 0
        if call.kind == "plan":
            plans[call.repository] = call.number
        else:
            parent = plans.get(call.repository, 0)
        rows.append(
            {
                "id": call.number, "parent": parent, "strategy": STRATEGY,
                "kind": "thought" if call.kind == "plan" else "action", "text": _text(call),
                "used": asdict(_used(call)), "at_s": call.at - task.created, "detail": _about(call),
            }
        )  # fmt: skip
    return rows


def _about(call: KeptCall) -> Row:
    return {"repository": call.repository, "asked_for": call.kind}


def _text(call: KeptCall) -> str:
    return next((str(choice["text"]) for choice in call.said["answer"]["choices"]), "")


def _used(call: KeptCall) -> Used:
    return Used(**call.said["answer"]["used"])
