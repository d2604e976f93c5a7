"""What was said and done before in a thread, for whoever works on its next task. Knows tasks alone."""

from collections.abc import Sequence

from zoran_ray.autopilot.pilot import parts_of
from zoran_ray.autopilot.task import Task

MOST_TASKS = 5
"""The last ones that are told of."""
_MOST_CHARS = 1_500
"""Of what somebody said, in each."""


def said_before(tasks: Sequence[Task]) -> str:
    """The thread so far, the oldest first; untrusted like everything that somebody said.

    Args:
        tasks: Of one thread, the newest first.
    """
    return "\n\n".join(_told(task) for task in reversed(tasks[:MOST_TASKS]))


def _told(task: Task) -> str:
    plans = (part.plan for part in parts_of(task))
    return "\n".join(
        [
            f"Asked before: {str(task.request['message'])[:_MOST_CHARS]}",
            *(f"The plan was: {plan.text[:_MOST_CHARS]}" for plan in plans if plan),
            f"It came to: {task.state}",
        ]
    )
