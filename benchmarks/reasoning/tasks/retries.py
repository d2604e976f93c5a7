"""A failed attempt, the verdict on it, a reflection, another attempt: Countdown's easy level by Reflexion.

What is taught is to begin otherwise: a retry that knows what failed need not fail in the same way.
"""

import random
from functools import partial

from benchmarks.reasoning.tasks.countdown import CountdownTask
from benchmarks.reasoning.tasks.game24 import attempt, solution, told
from benchmarks.reasoning.tasks.task import Check, Instance, Lesson, recorded, right_answer
from zoran_ray.reasoning.answers import MARKER
from zoran_ray.reasoning.countdown import Countdown, Numbers
from zoran_ray.reasoning.reflexion import Reflexion


class RetriesTask:
    """Learn from a failed attempt. Its instances are Countdown's, and split with them."""

    name = "retries"
    levels = 2

    def draw(self, rng: random.Random, level: int) -> Instance:
        """As `Task`."""
        drawn = CountdownTask().draw(rng, level)
        return Instance(self.name, level, drawn.key, drawn.question, drawn.verifier)

    def lessons(self, instance: Instance, rng: random.Random) -> list[Lesson]:
        """As `Task`: a reflection on a failure, and the attempt after it. The failure is not taught."""
        puzzle = Countdown.of(instance.messages)
        right = solution(puzzle, rng)
        wrong = _failure(puzzle, right, rng)
        if wrong is None:
            return []
        reflection = (
            f"The first move was {wrong[0].move}. It makes {wrong[-1].left[0][0]}. Begin otherwise."
        )
        said = [told(puzzle, wrong, MARKER), reflection, told(puzzle, right, MARKER)]
        _, reflecting, retrying = recorded(Reflexion(), instance.messages, said, puzzle.verifier)
        named: dict[str, Check] = {"named": partial(_names, wrong[0].move)}
        checks: dict[str, Check] = {
            "right": right_answer(instance),
            "other": partial(_begins_otherwise, wrong[0].move),
        }
        return [
            Lesson("retries.reflection", reflecting.messages, reflection, named),
            Lesson("retries.again", retrying.messages, said[2], checks),
        ]


def _failure(puzzle: Countdown, right: list[Numbers], rng: random.Random) -> list[Numbers] | None:
    """A way that does not lead to the target and begins otherwise; None where chance finds none."""
    for _ in range(50):
        path = attempt(puzzle, rng)
        if path[-1].left[0][0] != puzzle.target and path[0].move != right[0].move:
            return path
    return None


def _names(move: str, said: str) -> bool:
    return move in said


def _begins_otherwise(move: str, said: str) -> bool:
    return move not in said.partition("\n")[0]
