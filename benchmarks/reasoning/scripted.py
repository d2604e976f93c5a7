"""A model that answers at once with what lessons teach: all the time that a strategy takes is its own."""

import json
import random
from collections.abc import Sequence

from benchmarks.reasoning.tasks import TASKS
from benchmarks.reasoning.tasks.game24 import plain_moves, played
from benchmarks.reasoning.tasks.task import Instance
from zoran_ray.reasoning.completion import Completion, Completions, Message, Sampling, Used
from zoran_ray.reasoning.countdown import Countdown
from zoran_ray.reasoning.prompting import question_of, user

_UNTAUGHT = frozenset({"countdown.shot", "countdown.move", "chain.2", "chain.3", "chain.5", "chain.8"})
"""Not known, so that strategies go their whole way and do not end with a first right answer."""


class Scripted:
    """Says what is taught about these instances, any move that a puzzle allows, or a wrong answer.

    Not to be made in an event loop: a lesson runs a strategy in one of its own.
    """

    def __init__(self, task: str, instances: Sequence[Instance]) -> None:
        self._rng = random.Random(0)
        taught = [x for each in instances for x in TASKS[task].lessons(each, random.Random(0))]
        self._said = {json.dumps(x.messages): x.said for x in taught if x.kind not in _UNTAUGHT}

    async def __call__(
        self, messages: Sequence[Message], sampling: Sampling, *, deadline: float
    ) -> Completions:
        """As `Complete`; it never waits."""
        known = self._said.get(json.dumps(messages))
        said = tuple(Completion(known or self._any(messages)) for _ in range(sampling.n))
        return Completions(said, Used(sampling.n, 10, 0, 3 * sampling.n))

    def most(self, messages: Sequence[Message], sampling: Sampling) -> Used:
        """As `Complete`."""
        return Used(sampling.n, 10, 0, sampling.n * sampling.max_tokens)

    def _any(self, messages: Sequence[Message]) -> str:
        asked = question_of(messages)
        if asked.endswith("Judge:"):
            return "likely"
        if not asked.endswith("Moves:"):
            return f"Answer: {self._rng.randint(10**6, 10**9)}"
        puzzle = Countdown.of([user(asked)])
        state = puzzle.start()
        return puzzle.show(played(puzzle, state, self._rng.choice(plain_moves(state))))
