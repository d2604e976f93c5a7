"""From what is broken to a proven change in our bare repository, within a budget and a policy.

engineer = Engineer(ask, repository, policy_engine, runner)
work = await engineer.work(Job(message, base, author, at))     # plan, edits, tests; at most three tries
work.best                                                     # its commit, diff and evidence
"""

from zoran_ray.autopilot.engineer.editing import commit_message, drafted
from zoran_ray.autopilot.engineer.engineer import Engineer, Tell
from zoran_ray.autopilot.engineer.place import Place
from zoran_ray.autopilot.engineer.prompts import EDITING, PLANNING
from zoran_ray.autopilot.engineer.proving import TEST_COMMAND, Baseline
from zoran_ray.autopilot.engineer.settings import MOST_TRIES, EngineerSettings, task_budget
from zoran_ray.autopilot.engineer.values import (
    Attempt,
    AttemptOutcome,
    Job,
    Plan,
    Work,
    attempt_facts,
    attempt_of,
    change_facts,
    plan_facts,
    plan_of,
)

__all__ = [
    "EDITING",
    "MOST_TRIES",
    "PLANNING",
    "TEST_COMMAND",
    "Attempt",
    "AttemptOutcome",
    "Baseline",
    "Engineer",
    "EngineerSettings",
    "Job",
    "Place",
    "Plan",
    "Tell",
    "Work",
    "attempt_facts",
    "attempt_of",
    "change_facts",
    "commit_message",
    "drafted",
    "plan_facts",
    "plan_of",
    "task_budget",
]  # fmt: skip
