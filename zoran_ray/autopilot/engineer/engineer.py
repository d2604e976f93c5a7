"""Plans, edits and tests until a change is proven, within a budget and three tries. Touches nothing but our
bare repository and the sandbox; what leaves them is somebody else's decision.

Each step can be taken by itself, so that a task whose worker ended goes on where it stood.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from zoran_ray.autopilot.context import (
    CHARS_PER_TOKEN,
    Embed,
    FileVectors,
    Ranking,
    Shown,
    View,
    readable,
    view,
)
from zoran_ray.autopilot.engineer.editing import Draft
from zoran_ray.autopilot.engineer.place import Place
from zoran_ray.autopilot.engineer.prompts import edit_prompt, plan_prompt
from zoran_ray.autopilot.engineer.proving import Proof
from zoran_ray.autopilot.engineer.settings import MOST_TRIES, EngineerSettings
from zoran_ray.autopilot.engineer.values import Attempt, AttemptOutcome, Job, Plan, Work
from zoran_ray.autopilot.git import Repository
from zoran_ray.autopilot.testing import Dependency, Harness
from zoran_ray.errors import DeadlineExceeded, PermissionDenied, SandboxUnavailable
from zoran_ray.policy import PolicyEngine
from zoran_ray.reasoning.budget import BudgetSpent
from zoran_ray.reasoning.completion import Message, Sampling
from zoran_ray.reasoning.strategy import Ask
from zoran_ray.tools.code_runner import CodeRunner, NoRunner

Item = TypeVar("Item")
Tell = Callable[[Plan | Attempt], Awaitable[None] | None]
"""Hears of each step when it is done, and is waited for. What it raises ends the work."""


class Engineer:
    """Works on one repository.

    Args:
        ask: The model within its budget and deadline.
        repository: Our copy, with the job's base in it.
        engine: The policy that holds for this repository.
        runner: The sandbox.
        settings: How to work.
        harness: Which files judge a change.
        embed: Makes vectors to search the repository with; None to search by words alone.
        beside: What the tests need of other repositories.
    """

    def __init__(
        self,
        ask: Ask,
        repository: Repository,
        engine: PolicyEngine,
        runner: CodeRunner | None = None,
        settings: EngineerSettings | None = None,
        harness: Harness | None = None,
        embed: Embed | None = None,
        beside: Sequence[Dependency] = (),
    ) -> None:
        self._ask = ask
        self._repository = repository
        self._engine = engine
        self._settings = settings or EngineerSettings()
        self._harness = harness or Harness()
        self._embed = embed
        self._proof = Proof(runner or NoRunner(), engine, self._harness, beside)

    async def work(
        self, job: Job, tell: Tell | None = None, plan: Plan | None = None,
        tried: Sequence[Attempt] = (), place: Place | None = None,
    ) -> Work:  # fmt: skip
        """All of it: until a try is proven, or nothing more may be tried.

        Args:
            tell: Hears of each step.
            plan: One that was made before the worker ended.
            tried: Tries that were made then.
            place: Of the same job, where somebody opened it already.

        Raises:
            ZoranError: The model, git or a sandbox that is needed failed; a cancellation ends it at once.
        """
        run = _Progress(tell or _nobody, plan, list(tried))
        try:
            ended = await self._until_proven(job, run, place)
        except BudgetSpent as spent:
            ended = f"budget:{spent.reason}"
        except DeadlineExceeded:
            ended = "deadline"
        return Work(ended, run.plan, tuple(run.attempts), run.untested, self._ask.purse.used)

    async def open(self, job: Job) -> Place:
        """Reads the base, and runs its tests on it.

        Raises:
            GitError: The base cannot be read.
            SandboxUnavailable: The tests are needed, and there is no sandbox.
            PermissionDenied: They are needed, and the policy names no command for them.
        """
        redact = self._engine.redact
        job = replace(job, message=redact(job.message), known=redact(job.known))
        tree = await asyncio.to_thread(self._repository.tree, job.base)
        texts = await asyncio.to_thread(readable, tree, self._engine)
        vectors = FileVectors(self._embed, texts) if self._embed else None
        ranking = await asyncio.to_thread(Ranking, texts.files, self._harness.holds, vectors)
        try:
            before = await self._in_time(self._proof.baseline(tree))
        except (SandboxUnavailable, PermissionDenied) as error:
            if job.tests_needed:
                raise
            return Place(job, tree, texts, ranking, None, f"Nothing was tested. {error.message}")
        return Place(job, tree, texts, ranking, before)

    async def plan(self, place: Place) -> Plan:
        """Asks what to do. Raises: As `Ask`."""
        shown = await self._view(place, ())
        limits = self._settings.limits
        prompt = plan_prompt(place.job, shown, place.said, limits)
        text, _ = await self._asked(prompt, Sampling(max_tokens=self._settings.plan_tokens))
        return Plan(self._engine.redact(text).strip(), place.ranking.named(text))

    async def edit(self, place: Place, plan: Plan, tried: Sequence[Attempt]) -> Attempt:
        """Asks for edits and makes a commit of them, if they are any and the policy allows it.

        Raises:
            GitError: The commit cannot be made.
            ZoranError: As `Ask`.
        """
        last = tried[-1] if tried else None
        shown = await self._view(place, (*plan.files, *(place.ranking.named(last.answer) if last else ())))
        settings, number = self._settings, len(tried) + 1
        sources = [file for file in shown.files if not self._harness.holds(file.path)]
        whole = self._are_short(sources)
        prompt = edit_prompt(place.job, shown, place.said, plan, last, settings.limits, whole=whole)
        warmth = settings.temperature + (0.2 if last else 0.0)
        sampling = Sampling(temperature=warmth, max_tokens=settings.answer_tokens)
        text, finish = await self._asked(prompt, sampling)
        if finish == "length":
            reason = f"The answer was cut at {settings.answer_tokens} tokens. Change less at once."
            return Attempt(number, AttemptOutcome.UNREADABLE, (reason,), answer=text)
        draft = Draft(self._repository, self._engine, place.tree, place.texts)
        only = sources[0].path if whole and len(sources) == 1 else None
        return await asyncio.to_thread(draft.attempt, place.job, plan, number, text, shown, only)

    async def test(self, place: Place, attempt: Attempt) -> Attempt:
        """A drafted try with what the tests show. Raises: ZoranError: They could not be run."""
        if place.before is None or attempt.commit is None:
            return attempt
        changed = await asyncio.to_thread(self._repository.tree, attempt.commit)
        return await self._in_time(self._proof.proven(attempt, place.before, place.tree, changed))

    async def _until_proven(self, job: Job, run: "_Progress", place: Place | None) -> str:
        place = place or await self.open(job)
        run.untested = place.untested
        if run.plan is None:
            await run.made(await self.plan(place))
        assert run.plan is not None
        while True:
            last = run.attempts[-1] if run.attempts else None
            if last is not None and last.outcome is AttemptOutcome.DRAFTED and place.before is not None:
                await run.tested(await self.test(place, last))
            elif ended := self._ended(place, run.attempts):
                return ended
            else:
                await run.tried(await self.edit(place, run.plan, run.attempts))

    def _ended(self, place: Place, attempts: Sequence[Attempt]) -> str:
        """Why nothing more is tried; empty while something is."""
        last = attempts[-1].outcome if attempts else None
        if last in (AttemptOutcome.PROVEN, AttemptOutcome.DRAFTED):
            return str(last)
        if last is AttemptOutcome.FAILED and place.before is not None and place.before.fault:
            return "unprovable"
        tries = min(self._settings.tries, MOST_TRIES, self._engine.policy.budgets.tries)
        return "tries" if len(attempts) >= tries else ""

    async def _view(self, place: Place, needed: Sequence[str]) -> View:
        job, limits = place.job, self._settings.limits
        return await asyncio.to_thread(
            view, place.texts, place.ranking, job.message, place.said, needed, limits
        )

    def _are_short(self, sources: Sequence[Shown]) -> bool:
        """Whether files are short enough to be written whole."""
        most = self._settings.whole_tokens * CHARS_PER_TOKEN
        return all(file.whole for file in sources) and sum(len(file.text) for file in sources) <= most

    async def _asked(self, prompt: Sequence[Message], sampling: Sampling) -> tuple[str, str]:
        """What the model says, in characters that are some, and why it stopped."""
        answer, _ = await self._ask.one(prompt, sampling)
        return answer.text.encode(errors="replace").decode(), answer.finish

    async def _in_time(self, work: Awaitable[Item]) -> Item:
        """What some work comes to before the time is over. Raises: BudgetSpent, DeadlineExceeded."""
        ask = self._ask
        ends = min(ask.deadline, ask.purse.ends)
        try:
            async with asyncio.timeout(None if ends == math.inf else ends - ask.clock()):
                return await work
        except TimeoutError:
            if ask.purse.ends < ask.deadline:
                raise BudgetSpent("wall_s") from None
            raise DeadlineExceeded("The task's time is over. Allow more time, or ask for less.") from None


class _Progress:
    """How far some work has come."""

    def __init__(self, tell: Tell, plan: Plan | None, attempts: list[Attempt]) -> None:
        self._tell = tell
        self.plan = plan
        self.attempts = attempts
        self.untested = ""

    async def made(self, plan: Plan) -> None:
        """There is a plan."""
        self.plan = plan
        await self._told(plan)

    async def tried(self, attempt: Attempt) -> None:
        """There is one try more."""
        self.attempts.append(attempt)
        await self._told(attempt)

    async def tested(self, attempt: Attempt) -> None:
        """The last try was tested."""
        self.attempts[-1] = attempt
        await self._told(attempt)

    async def _told(self, step: Plan | Attempt) -> None:
        if (waits := self._tell(step)) is not None:
            await waits


def _nobody(_: Plan | Attempt) -> None:
    """Hears nothing."""
