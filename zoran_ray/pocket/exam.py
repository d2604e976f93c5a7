"""The exam: held-out questions per task, drawn by a seed and never taught."""

from __future__ import annotations

import random
from dataclasses import dataclass

from zoran_ray.pocket.other import OTHER_ANSWER, other_text
from zoran_ray.pocket.problems import PHRASINGS, Operator, Problem, is_held_out, phrase
from zoran_ray.pocket.turns import Turn


@dataclass(frozen=True, slots=True)
class Task:
    """One paper of the exam: an operator and the number of digits of both operands."""

    operator: Operator
    digits: int

    @property
    def name(self) -> str:
        """As in the card, e.g. `addition_3`."""
        return f"{'addition' if self.operator == '+' else 'subtraction'}_{self.digits}"


TASKS: tuple[Task, ...] = (Task("+", 2), Task("+", 3), Task("-", 2), Task("-", 3))


def sample_held_out(rng: random.Random, task: Task) -> Problem:
    """One exam problem of a task, all equally likely."""
    low, high = 10 ** (task.digits - 1), 10**task.digits - 1
    while True:
        problem = Problem(rng.randint(low, high), task.operator, rng.randint(low, high))
        if is_held_out(problem):
            return problem


def exam(task: Task, count: int, seed: int) -> list[Turn]:
    """`count` different exam questions of a task: held-out pairs, each in a phrasing drawn by the seed."""
    rng = random.Random(f"exam {task.name} {seed}")
    questions: dict[str, Turn] = {}
    while len(questions) < count:
        problem = sample_held_out(rng, task)
        text = phrase(problem, rng.choice(PHRASINGS[task.operator]), lower=rng.random() < 0.3)
        questions[text] = Turn(text, problem.answer)
    return list(questions.values())


def other_exam(count: int, seed: int) -> list[Turn]:
    """`count` texts that deserve the honest sentence, drawn with a seed that training never uses."""
    rng = random.Random(f"other exam {seed}")
    return [Turn(other_text(rng), OTHER_ANSWER) for _ in range(count)]
