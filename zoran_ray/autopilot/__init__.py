"""ORYON: from what is broken to a tested change, within a policy. No Ray, no HTTP, no Docker.

tasks = Tasks(task_database(folder), time.time)
task = tasks.create(owner, Mode.OPERATOR, {"message": "…", "repositories": [...]})
lease = tasks.claim(lease_s=60)                        # one worker at a time
lease = tasks.move(lease, State.PLANNED, {"plan": …})
once(tasks, lease, "push 1", intent, look_up, act)     # steps that the world sees
"""

from zoran_ray.autopilot.database import task_database
from zoran_ray.autopilot.rows import TaskEvent
from zoran_ray.autopilot.steps import once
from zoran_ray.autopilot.task import Mode, State, Task, lowest, mode_of
from zoran_ray.autopilot.tasks import Lease, Tasks

__all__ = [
    "Lease", "Mode", "State", "Task", "TaskEvent", "Tasks", "lowest", "mode_of", "once", "task_database",
]  # fmt: skip
