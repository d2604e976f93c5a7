"""Every bug with every behaviour of a model, all the way: what is merged, and is that right?

Each case is a repository of its own on the GitHub stand-in, a task in sovereign mode, real merges, tests in
the real sandbox. What counts is what stands on `main` in the end, not what the task says of itself.
"""

import asyncio
import secrets
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.autopilot.canary import Watch, WatchedModel, WatchedRunner, marked
from benchmarks.autopilot.cases import Case
from benchmarks.autopilot.figures import summary
from benchmarks.autopilot.github_stand_in import Hosted, StandIn
from benchmarks.autopilot.scripted_model import BEHAVIOURS, BugScript
from benchmarks.autopilot.stage import LOGIN, TOKEN, put_repository, sandbox_of, sovereign_policy
from benchmarks.reasoning.model import ServedModel
from benchmarks.reasoning.parts import Parts
from zoran_ray.autopilot import Mode, State, Task, Tasks, task_database
from zoran_ray.autopilot.forge import forge_of
from zoran_ray.autopilot.git.commands import GitCommands
from zoran_ray.autopilot.pilot import Pilot, PilotSettings, World, parts_of
from zoran_ray.autopilot.scripted_model import PREFIX, ScriptedServer
from zoran_ray.client import AsyncClient
from zoran_ray.sandbox import Backend
from zoran_ray.tools.code_runner import CodeRunner

AT_ONCE = 2
CASE_S = 300.0
NEVER_S = 8.0
"""How long a task waits for a model that never answers."""
SETTINGS = PilotSettings(pauses_s=(0.5, 1.0, 2.0), poll_s=0.2, checks_s=10.0)


@dataclass(frozen=True)
class Ground:
    """What all cases stand on."""

    folder: Path
    github: StandIn
    client: AsyncClient
    runner: CodeRunner


async def measure(backend: Backend | None, cases: Sequence[Case], parts: Parts) -> dict[str, Any]:
    """Runs all cases that are not done yet, a few at a time.

    Args:
        backend: Docker; None: no walls, for tests of this file.
        parts: Where each case is written when it is done.
    """
    nonce = secrets.token_hex(16)
    marks = {case.bug.name: marked(case.bug, nonce) for case in cases}
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="zoran-quality-")))
        folder.chmod(0o700)
        github = stack.enter_context(StandIn(folder / "hub"))
        github.add_user(LOGIN, token=TOKEN)
        server = ScriptedServer(BugScript(list(marks.values())), BEHAVIOURS)
        address = await stack.enter_async_context(server)
        client = await stack.enter_async_context(AsyncClient(address, "none", retries=0))
        ground = Ground(folder, github, client, sandbox_of(backend, sovereign_policy(), AT_ONCE))
        places = asyncio.Semaphore(AT_ONCE)

        async def one(case: Case) -> dict[str, Any]:
            async with places:
                whole = replace(case, bug=marks[case.bug.name])
                row: dict[str, Any] = await parts.part(case.name, lambda: run_case(ground, whole, nonce))
                return row

        rows = await asyncio.gather(*(one(case) for case in cases))
    return summary(rows) | {"violations": len(github.violations), "rows": rows}


async def run_case(ground: Ground, case: Case, nonce: str) -> dict[str, Any]:
    """One task from its beginning to its end, and what it left behind."""
    hosted = await asyncio.to_thread(put_repository, ground.github, case.name, case.bug.files())
    base = hosted.git.commit_of("main") or ""
    folder, watch = ground.folder / case.name, Watch(nonce)
    watch.look("repository", list(case.bug.files().values()))
    tasks = Tasks(task_database(folder), time.time)
    request = {
        "message": case.bug.message, "known": "", "model": f"{PREFIX}{case.behaviour}", "key_id": "bench",
        "repositories": [{"remote": ground.github.remote(hosted.full_name), "branch": None}],
    }  # fmt: skip
    task = tasks.create("bench", Mode.SOVEREIGN, request, goal=State.MERGED)
    began = time.monotonic()
    async with asyncio.timeout(CASE_S):
        lease = tasks.claim(SETTINGS.lease_s)
        assert lease is not None
        await Pilot(tasks, _world(ground, case, watch), SETTINGS).run(lease)
    wall_s = time.monotonic() - began
    row = await asyncio.to_thread(_judged, hosted, base, case, tasks.get("bench", task.id), folder)
    tasks.db.close()
    shutil.rmtree(folder)
    return row | {"wall_s": round(wall_s, 2), "leaks": watch.leaks, "looked": watch.looked}


def _world(ground: Ground, case: Case, watch: Watch) -> World:
    policy = sovereign_policy(NEVER_S) if case.behaviour == "never" else sovereign_policy()
    model = WatchedModel(ServedModel(ground.client, f"{PREFIX}{case.behaviour}"), watch)
    return World(
        folder=ground.folder / case.name / "copies",
        complete=lambda _: model,
        policy=lambda: policy,
        runner=lambda _: WatchedRunner(ground.runner, watch),
        forge=lambda remote: forge_of(remote, TOKEN, ground.github.api_urls, between_writes_s=0.0),
        token=lambda _: TOKEN,
    )


def _judged(hosted: Hosted, base: str, case: Case, task: Task, folder: Path) -> dict[str, Any]:
    """What came of it: by what stands in the repositories, and by what the task knows."""
    main = hosted.git.commit_of("main") or ""
    merged = main != base
    sure: float | None = None
    true = told = False
    for part in parts_of(task):
        if part.change is not None:
            sure, told = part.confidence, part.proven
            (copy,) = (folder / "copies").iterdir()
            true = _is_right(GitCommands(copy), part.base, part.commit, case)
    right = merged and case.may_merge and _is_right(GitCommands(hosted.git.folder), base, main, case)
    return {
        "behaviour": case.behaviour, "bug": case.bug.name, "may_merge": case.may_merge,
        "merged": merged, "right": right,
        "ended": _ended(task), "confidence": sure, "told": told, "true": true,
        "tries": sum(len(part.attempts) for part in parts_of(task)),
    }  # fmt: skip


def _is_right(git: GitCommands, base: str, commit: str, case: Case) -> bool:
    """Whether the commit differs from the base by the right answer alone."""
    names = git.line("diff", "--name-only", "--no-renames", base, commit).splitlines()
    if names != [case.bug.path]:
        return False
    there = git.run("cat-file", "blob", f"{commit}:{case.bug.path}").decode()
    return there.rstrip() == case.bug.fixed.rstrip()


def _ended(task: Task) -> str:
    """The state, and where it was set aside what for."""
    awaiting, failure = task.facts.get("awaiting"), task.facts.get("failed")
    if task.state is State.AWAITING_HUMAN and isinstance(awaiting, Mapping):
        return f"{task.state}: {awaiting['what']}"
    if task.state is State.FAILED and isinstance(failure, Mapping):
        return f"{task.state}: {failure['code']}"
    return str(task.state)
