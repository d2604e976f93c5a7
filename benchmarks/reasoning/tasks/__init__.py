"""The tasks of the laboratory: instances, exact checks, and lessons that show how they are solved."""

from collections.abc import Mapping

from benchmarks.reasoning.tasks.calculator import CalculatorTask
from benchmarks.reasoning.tasks.chain import ChainTask
from benchmarks.reasoning.tasks.countdown import CountdownTask
from benchmarks.reasoning.tasks.implications import ImplicationsTask
from benchmarks.reasoning.tasks.retries import RetriesTask
from benchmarks.reasoning.tasks.task import Task

TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (CountdownTask(), ChainTask(), CalculatorTask(), ImplicationsTask(), RetriesTask())
}
"""By name."""
