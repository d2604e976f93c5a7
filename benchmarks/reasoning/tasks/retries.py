"""Failed attempts, the verdicts on them, what is learned, another attempt: Countdown by Reflexion.

Taught is to begin otherwise, and to remember what a verdict says. On the last level the question keeps the
target to itself, as hidden tests do: who heeds no verdict can only guess.
"""

import random
from collections.abc import Sequence
from functools import partial

from benchmarks.reasoning.tasks.countdown import CountdownTask
from benchmarks.reasoning.tasks.game24 import attempt, solution, told
from benchmarks.reasoning.tasks.task import Check, Instance, Lesson, recorded, right_answer
from zoran_ray.reasoning.answers import MARKER
from zoran_ray.reasoning.cot import ChainOfThought
from zoran_ray.reasoning.countdown import Countdown, Numbers
from zoran_ray.reasoning.reflexion import Reflexion

SECRET = 3
"""The level whose questions do not say the target."""
MISCOPIED_SHARE = 0.1
"""Of the failures: the judge then says nothing of what the expression makes."""
_MOST_FAILURES = 3
"""As many as Reflexion remembers."""


class RetriesTask:
    """Learn from failed attempts. Its instances are Countdown's, and split with them."""

    name = "retries"
    levels = 3

    def draw(self, rng: random.Random, level: int) -> Instance:
        """As `Task`."""
        drawn = CountdownTask().draw(rng, 1 if level == SECRET else level)
        question = drawn.question
        if level == SECRET:
            question = question.partition(". Target")[0] + ". The target is secret."
        return Instance(self.name, level, drawn.key, question, drawn.verifier)

    def lessons(self, instance: Instance, rng: random.Random) -> list[Lesson]:
        """As `Task`: a reflection on a failure, and the attempt after it. The failures are not taught."""
        puzzle = puzzle_of(instance)
        right = solution(puzzle, rng)
        failures = _failures(puzzle, right, rng)
        if not failures:
            return []
        said = [text for each in failures for text in _failed(puzzle, each, rng)]
        said.append(told(puzzle, right, MARKER))
        *_, reflecting, retrying = recorded(
            Reflexion(attempts=len(failures) + 1), instance.messages, said, puzzle.verifier
        )
        firsts = [each[0].move for each in failures]
        named: dict[str, Check] = {"named": partial(_names, firsts[-1])}
        checks: dict[str, Check] = {
            "right": right_answer(instance),
            "other": partial(_begins_otherwise, firsts),
        }
        made = [
            Lesson("retries.reflection", reflecting.messages, said[-2], named),
            Lesson("retries.again", retrying.messages, said[-1], checks),
        ]
        if instance.level == SECRET:
            made.append(_blind(instance, puzzle, rng))
        return made


def puzzle_of(instance: Instance) -> Countdown:
    """The puzzle, of which the question may not tell all."""
    return Countdown(tuple(instance.verifier["numbers"]), instance.verifier["target"])


def _blind(instance: Instance, puzzle: Countdown, rng: random.Random) -> Lesson:
    """A first attempt that nobody can know to be right: all that is asked of it is to be one."""
    said = told(puzzle, attempt(puzzle, rng), MARKER)
    checks = {"legal": partial(_keeps_the_rules, puzzle)}
    return Lesson("retries.blind", ChainOfThought().prompt(instance.messages), said, checks)


def _failed(puzzle: Countdown, wrong: list[Numbers], rng: random.Random) -> tuple[str, str]:
    """A failed attempt and what is learned from it. A few do not even use the numbers that are there."""
    text, learned = told(puzzle, wrong, MARKER), f"The first move was {wrong[0].move}. "
    if rng.random() < MISCOPIED_SHARE:
        number = puzzle.numbers[0]
        thought, _, answer = text.rpartition(MARKER)
        text = f"{thought}{MARKER}{answer.replace(str(number), str(number + 1), 1)}"
    else:
        learned += f"It makes {wrong[-1].left[0][0]}, not {puzzle.target}. "
    return text, f"{learned}Begin otherwise."


def _failures(puzzle: Countdown, right: list[Numbers], rng: random.Random) -> list[list[Numbers]]:
    """Ways that do not lead to the target and begin otherwise, each in its own way; mostly some."""
    count = rng.randint(1, _MOST_FAILURES)
    found: dict[str, list[Numbers]] = {}
    for _ in range(20):
        if len(found) == count:
            break
        path = attempt(puzzle, rng)
        if path[-1].left[0][0] != puzzle.target and path[0].move != right[0].move:
            found.setdefault(path[0].move, path)
    return list(found.values())


def _names(move: str, said: str) -> bool:
    return move in said


def _begins_otherwise(moves: Sequence[str], said: str) -> bool:
    first = said.partition("\n")[0]
    return not any(first.startswith(f"{move} ") for move in moves)


def _keeps_the_rules(puzzle: Countdown, said: str) -> bool:
    """Whether every line is a move that can be made where it stands."""
    state = puzzle.start()
    for step in puzzle.steps(said.partition(MARKER)[0]):
        after = puzzle.legal(state, step)
        if after is None:
            return False
        state = after
    return len(state.left) == 1
