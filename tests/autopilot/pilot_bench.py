"""A pilot in a small world: the GitHub stand-in, a model that says what a test wants, git and pytest."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.autopilot.github_stand_in import Hosted, StandIn
from tests.autopilot.forked import MOST_KILLS
from tests.autopilot.here import Here
from tests.autopilot.recorded import Recorded
from tests.autopilot.test_testing import BASE
from tests.reasoning.scripted import Scripted
from zoran_ray.autopilot import Lease, Mode, State, Task, Tasks, task_database
from zoran_ray.autopilot.decisions import DECIDED, Decided
from zoran_ray.autopilot.deploy import Deployer, Health, Release
from zoran_ray.autopilot.engineer import PLANNING
from zoran_ray.autopilot.forge import Forge, forge_of
from zoran_ray.autopilot.pilot import FixMemory, Part, Pilot, PilotSettings, World, parts_of
from zoran_ray.policy import Policy, read_policy, shipped_policy_file
from zoran_ray.tools.code_runner import CodeRunner

NAME = "acme/widgets"
TOKEN = "ghp_pilot"
MESSAGE = "add(1, 2) is not 3"
PLAN = "Add instead of subtracting\n\n`add` subtracts.\nFILE: calc.py\n"
RIGHT = "calc.py\n<<<<<<< SEARCH\n    return a - b\n=======\n    return a + b\n>>>>>>> REPLACE\n"
WRONG = RIGHT.replace("a + b", "a * b")
FAST = PilotSettings(pauses_s=(0.01, 0.01), longest_pause_s=5.0, poll_s=0.01, checks_s=2.0, health_s=30.0)

_SHIPPED = read_policy(shipped_policy_file())


def policy(mode_max: str = "sovereign", **sections: Mapping[str, Any]) -> Policy:
    """The shipped policy with merges and deployments by ourselves, and with these sections changed."""
    document = _SHIPPED.model_dump() | {"mode_max": mode_max}
    document["merge"]["allowed"] = document["deploy"]["allowed"] = True
    document["deploy"]["targets"] = ("staging",)
    for name, changes in sections.items():
        document[name] |= changes
    return Policy.model_validate(document)


def say(prompt: str, _: int, edit: str = RIGHT) -> str:
    """A plan, or this edit."""
    return PLAN if prompt.startswith(f"system: {PLANNING}") else edit


class Place:
    """A place to deploy to, in memory."""

    def __init__(self, *healths: Health) -> None:
        self.reversible = True
        self.running: Release | None = Release("r0", "0" * 40)
        self.made: list[tuple[str, str]] = []
        self.brought_back: list[str] = []
        self._healths = list(healths) or [Health.PENDING, Health.HEALTHY]

    def current(self) -> Release | None:
        return self.running

    def find(self, commit: str, marker: str) -> Release | None:
        return Release(f"r{marker}", commit) if (commit, marker) in self.made else None

    def deploy(self, commit: str, marker: str) -> Release:
        assert (commit, marker) not in self.made
        self.made.append((commit, marker))
        self.running = Release(f"r{marker}", commit)
        return self.running

    def health(self, release: Release) -> Health:
        if "deploy" not in release.id:
            return Health.HEALTHY
        return self._healths.pop(0) if len(self._healths) > 1 else self._healths[0]

    def roll_back(self, to: Release | None, marker: str) -> Release:
        assert to is not None
        self.made.append((to.commit, marker))
        self.brought_back.append(to.id)
        self.running = Release(f"r{marker}", to.commit)
        return self.running


@dataclass
class Bench:
    """What a test looks at and changes.

    Attributes:
        now: Unix time in seconds, which stands still.
    """

    folder: Path
    github: StandIn
    hosted: Hosted
    policy: Policy = field(default_factory=policy)
    say: Callable[[str, int], str] = say
    runner: CodeRunner | None = None
    place: Place = field(default_factory=Place)
    memory: FixMemory | None = None
    settings: PilotSettings = FAST
    now: float = 1_700_000_000.0

    def __post_init__(self) -> None:
        self.tasks = Tasks(task_database(self.folder / "state"), lambda: self.now, most_lapses=MOST_KILLS)
        self.runs = Recorded(Here(self.folder / "runs"))
        self.model = Scripted(lambda prompt, call: self.say(prompt, call))

    def remote(self, name: str = NAME) -> str:
        return self.github.remote(name)

    def world(self) -> World:
        async def root() -> str | None:
            return "ab" * 32

        return World(
            self.folder / "copies", lambda task: self.model, lambda: self.policy,
            lambda policy: self.runner or self.runs, self.forge, lambda remote: TOKEN,
            {"staging": self.deployer()}, self.memory, root,
        )  # fmt: skip

    def deployer(self) -> Deployer:
        return self.place

    def forge(self, remote: str) -> Forge:
        return forge_of(remote, TOKEN, self.github.api_urls, between_writes_s=0.0)

    def begin(
        self, mode: Mode = Mode.SOVEREIGN, remotes: Sequence[str] = (), deploy: str | None = None
    ) -> Task:
        """A task; a sovereign one without a target ends when it is merged."""
        request = {
            "message": MESSAGE, "known": "", "model": "scripted", "key_id": "k", "deploy": deploy,
            "repositories": [{"remote": each, "branch": None} for each in remotes or (self.remote(),)],
        }  # fmt: skip
        goal = State.MERGED if mode is Mode.SOVEREIGN and deploy is None else None
        return self.tasks.create("acme", mode, request, goal=goal)

    def claim(self) -> Lease:
        self.now += 1000.0  # whoever held it before is late
        lease = self.tasks.claim(60.0)
        assert lease is not None
        return lease

    def run(self) -> Task:
        """The next task, as far as a pilot brings it."""
        return asyncio.run(self.pilot().run(self.claim()))

    def pilot(self) -> Pilot:
        return Pilot(self.tasks, self.world(), self.settings)

    def approve(self, task: Task, what: str) -> Task:
        """A person allows what the task waits for."""
        awaiting = task.facts["awaiting"]
        assert awaiting["what"] == what
        row = {"what": what, "commit": awaiting["commit"], "by": "ann", "at": self.now}
        return self.tasks.resume("acme", task.id, {"approved": [*task.facts.get("approved", ()), row]})

    def part(self, task: Task) -> Part:
        (part,) = parts_of(task)
        return part

    def happened(self) -> tuple[int, int, int]:
        """Our branches, pull requests, and commits of the base's branch."""
        ours = [name for name in self.hosted.git.branches() if name.startswith("zoran/")]
        return len(ours), len(self.hosted.pulls), self.hosted.git.count("main")


@contextmanager
def bench_in(folder: Path) -> Iterator[Bench]:
    """A world with one repository that has a bug; every answer of the stand-in must be as GitHub's."""
    folder.chmod(0o700)
    with StandIn(folder / "hub") as github:
        github.add_user("zoran-bot", token=TOKEN)
        hosted = github.add_repository(NAME)
        hosted.git.put("main", BASE, "first")
        yield Bench(folder, github, hosted)
    assert github.violations == []


def kinds(bench: Bench, task: Task) -> list[str]:
    """Of all events that changed no state."""
    return [event.kind for event in bench.tasks.events(task.id) if event.kind != "transition"]


def decisions(bench: Bench, task: Task) -> list[Decided]:
    """What the policy said to its steps, in their order."""
    return [Decided(**event.data) for event in bench.tasks.events(task.id) if event.kind == DECIDED]


def path_of(bench: Bench, task: Task) -> list[str]:
    """The states that a task was in, in their order."""
    return [event.data["to"] for event in bench.tasks.events(task.id) if event.kind == "transition"]
