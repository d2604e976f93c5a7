"""One run of a pilot on one task: what its stages share. Knows no stage."""

import asyncio
import math
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

from zoran_ray.autopilot.calls import CallKind, Made
from zoran_ray.autopilot.copies import copy_of
from zoran_ray.autopilot.decisions import Decided
from zoran_ray.autopilot.engineer import task_budget
from zoran_ray.autopilot.forge import Forge, ForgeStep
from zoran_ray.autopilot.git import Repository
from zoran_ray.autopilot.pilot.asides import AwaitsPerson
from zoran_ray.autopilot.pilot.errand import errand_of
from zoran_ray.autopilot.pilot.held import HeldTask
from zoran_ray.autopilot.pilot.kept_model import KeptModel
from zoran_ray.autopilot.pilot.part import Part, parts_of
from zoran_ray.autopilot.pilot.world import PilotSettings, World
from zoran_ray.autopilot.task import State, Task
from zoran_ray.batch.threads import in_thread
from zoran_ray.policy import (
    OVERRIDE_FILE,
    Decision,
    Policy,
    PolicyEngine,
    for_repository,
    load_override,
    repository_name,
)
from zoran_ray.policy import Mode as PolicyMode
from zoran_ray.reasoning.budget import Purse
from zoran_ray.reasoning.completion import Used
from zoran_ray.reasoning.strategy import Ask
from zoran_ray.reasoning.trace import Call, Trace

MOST_OVERRIDE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Checkout:
    """Our copy of a repository, and the policy that holds for it at a base."""

    repository: Repository
    engine: PolicyEngine


class Flight:
    """What the stages of one run share.

    Args:
        held: The task.
        world: Everything outside of it.
        settings: How to work.
        policy: The operator's.

    Raises:
        InvalidRequest: The task's request is none.
    """

    def __init__(self, held: HeldTask, world: World, settings: PilotSettings, policy: Policy) -> None:
        self.held = held
        self.world = world
        self.settings = settings
        self.policy = policy
        self.errand = errand_of(held.task.request)
        self.parts = list(parts_of(held.task))
        self._checkouts = dict[tuple[int, str], Checkout]()
        self._forges = dict[str, Forge]()
        self._clock = asyncio.get_running_loop().time
        self._began = self._clock()
        self._rested_s = 0.0
        self._purses: list[Purse] = []
        spent = dict(held.task.facts.get("spent") or {})
        self._before_s = float(spent.pop("seconds", 0.0))
        self._before = Used(**spent)

    @property
    def task(self) -> Task:
        """As it is now."""
        return self.held.task

    @property
    def mode(self) -> PolicyMode:
        """Of the task, as policies call it."""
        return self.task.mode.value

    def changed(self) -> list[Part]:
        """Parts that change something."""
        return [part for part in self.parts if part.change is not None]

    def waiting(self) -> list[Part]:
        """Those of them that are not merged."""
        return [part for part in self.changed() if part.merged is None]

    async def put(self, *parts: Part) -> None:
        """Writes down what is known of repositories, all at once. Raises: LeaseLost."""
        for part in parts:
            self._set(part)
        await self.held.learn(self._facts())

    async def move(self, to: State, part: Part | None = None) -> None:
        """The task stands there now. Args: part: Written down with it. Raises: LeaseLost."""
        if part is not None:
            self._set(part)
        told = {"repositories": [each.told() for each in self.parts]}
        await self.held.move(to, {**self._facts(), "awaiting": None, "failed": None}, told)

    async def checkout(self, part: Part) -> Checkout:
        """Our copy and the policy at the part's base.

        Raises:
            PermissionDenied: The task's mode is more than that policy allows.
            ConfigError: The repository's own rules are wrong, or loosen the operator's.
            GitError: The base is not here.
        """
        key = (part.index, part.base)
        if key not in self._checkouts:
            self._checkouts[key] = await in_thread(self._opened, part)
        return self._checkouts[key]

    def repository(self, remote: str) -> Repository:
        """Our copy of a remote."""
        return Repository(copy_of(self.world.folder, remote), remote, self.world.token(remote))

    def forge(self, part: Part) -> Forge:
        """Where pull requests to a repository are opened."""
        if part.remote not in self._forges:
            self._forges[part.remote] = self.world.forge(part.remote)
        return self._forges[part.remote]

    def step(self, part: Part, name: str) -> ForgeStep:
        """A step on a repository's forge. Args: name: Unique within the part."""
        return ForgeStep(self.held.tasks, self.held.lease, self.forge(part), f"{name} of {part.index}")

    def asking(self, part: Part, engine: PolicyEngine) -> Ask:
        """The model, within what the task may still use; each of its answers is kept with the task."""

        async def keep(call: Call) -> None:
            kind: CallKind = "edit" if self.parts[part.index].plan else "plan"
            await self.held.asked(Made(part.index, kind, call, engine.redact))

        purse = Purse(task_budget(engine.policy, self._used(), self._spent_s()), self._clock)
        self._purses.append(purse)
        model = KeptModel(self.world.complete(self.task), keep)
        return Ask(model, purse, Trace(), math.inf, self._clock)

    async def rest(self, seconds: float) -> None:
        """Waits for others, which is no work on the task."""
        began = self._clock()
        await asyncio.sleep(seconds)
        self._rested_s += self._clock() - began

    def approvers(self, what: str, commit: str) -> frozenset[str]:
        """Who allowed that, at that commit."""
        rows = self.task.facts.get("approved") or ()
        return frozenset(str(row["by"]) for row in rows if (row["what"], row["commit"]) == (what, commit))

    async def passes(self, decision: Decision, what: str, part: Part, commit: str) -> bool:
        """Whether a step may be taken outside; the decision is on the disk before it is.

        Args:
            what: The step, as `Decided.what`.

        Raises:
            LeaseLost: Another worker has the task.
        """
        passed = is_lifted(decision, self.approvers(what, commit))
        row = (what, part.index, commit, decision.verdict, passed, decision.rule, decision.policy_hash)
        await self.held.decided(Decided(*row))
        return passed

    async def require(self, decision: Decision, what: str, part: Part, commit: str) -> None:
        """Nothing, if a step may be taken outside.

        Raises:
            AwaitsPerson: A person has to allow it first.
            PermissionDenied: It is refused.
            LeaseLost: Another worker has the task.
        """
        if not await self.passes(decision, what, part, commit):
            if decision.verdict == "needs_person":
                raise AwaitsPerson(what, reasons_of(decision), commit)
            decision.require()

    async def require_action(self, engine: PolicyEngine, name: str, part: Part, commit: str) -> None:
        """Nothing, if an action may be done. Raises: As `require`."""
        await self.require(engine.decide_action(name), f"action:{name}", part, commit)

    def _opened(self, part: Part) -> Checkout:
        repository = self.repository(part.remote)
        data = repository.file(part.base, OVERRIDE_FILE, MOST_OVERRIDE_BYTES)
        name = repository_name(part.remote)
        source = f"{name}@{part.base[:12]}:{OVERRIDE_FILE}"
        own = None if data is None else load_override(data, source, self.policy)
        engine = PolicyEngine(for_repository(self.policy, name, own))
        engine.decide_mode(self.task.mode).require()
        return Checkout(repository, engine)

    def _set(self, part: Part) -> None:
        self.parts[part.index : part.index + 1] = [part]

    def _facts(self) -> dict[str, Any]:
        parts = [part.facts() for part in self.parts]
        first = parts[0] if parts else {}
        return {
            "repositories": parts, "plan": first.get("plan"), "policy": first.get("policy") or None,
            "spent": asdict(self._used()) | {"seconds": self._spent_s()},
        }  # fmt: skip

    def _used(self) -> Used:
        return sum((purse.used for purse in self._purses), self._before)

    def _spent_s(self) -> float:
        """How long the task was worked on; while it waits for a person or a check nobody does."""
        return self._before_s + self._clock() - self._began - self._rested_s


def is_lifted(decision: Decision, approvers: Collection[str]) -> bool:
    """Whether something may be done by what people allowed. A number of approvals is counted, no more."""
    return all(
        step.verdict == "allow"
        or (step.verdict == "needs_person" and bool(approvers) and not step.rule.endswith(".approvals"))
        for step in decision.steps
    )


def reasons_of(decision: Decision) -> str:
    """Everything that stands against it, for people."""
    return "; ".join(f"{step.reason} ({step.rule})" for step in decision.steps if step.verdict != "allow")
