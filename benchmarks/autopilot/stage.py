"""What a task's world is made of here: a policy that lets it go all the way, a sandbox, a forge."""

import asyncio
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.autopilot.github_stand_in import Hosted, StandIn
from zoran_ray.policy import Policy, read_policy, shipped_policy_file
from zoran_ray.policy.document import Actions, DeployGate, MergeGate
from zoran_ray.sandbox import Backend, Limits, Sandbox
from zoran_ray.tools.code_runner import CodeRunner

TOKEN = "ghp_bench"
LOGIN = "zoran-bot"
TARGET = "shop"
"""The one place to deploy to."""


def sovereign_policy(wall_s: float = 300.0) -> Policy:
    """The shipped policy, which also lets a task merge and deploy; all else is as strict as it comes."""
    shipped = read_policy(shipped_policy_file())
    return shipped.model_copy(
        update={
            "mode_max": "sovereign",
            "merge": MergeGate(allowed=True),
            "deploy": DeployGate(allowed=True, targets=(TARGET,)),
            "actions": Actions(allow=shipped.actions.allow, forbid=shipped.actions.forbid),
            "budgets": shipped.budgets.model_copy(update={"wall_s": wall_s}),
        }
    )


def put_repository(github: StandIn, name: str, files: Mapping[str, str]) -> Hosted:
    """A repository with one commit on `main`, whose every change of a branch is logged."""
    hosted = github.add_repository(f"bench/{name}")
    config = hosted.git.folder / "config"
    config.write_text(f"{config.read_text()}\n[core]\n\tlogAllRefUpdates = always\n")
    hosted.git.put("main", {path: text.encode() for path, text in files.items()}, "first")
    return hosted


def sandbox_of(backend: Backend | None, policy: Policy, slots: int = 2) -> CodeRunner:
    """Docker where there is some, else no walls at all."""
    if backend is None:
        return Unfenced()
    return Sandbox(backend, Limits(**policy.sandbox.limits()), slots=slots)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended; see `Ran`."""

    exit_status: int | None
    stdout: bytes
    stderr: bytes
    timed_out: bool
    files_out: Mapping[str, bytes]


class Unfenced:
    """Runs programs in a folder of this machine: for code that is ours, where walls are not the point."""

    async def run(self, files: Mapping[str, bytes], argv: Sequence[str], *, timeout_s: float) -> Ended:
        """As `CodeRunner`, without any of its bounds but time."""
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                Path(folder, name).parent.mkdir(parents=True, exist_ok=True)
                Path(folder, name).write_bytes(content)
            environ = {"PATH": os.environ["PATH"], "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
            words = [folder if word == "." else word.replace("/work/", f"{folder}/") for word in argv[1:]]
            process = await asyncio.create_subprocess_exec(
                sys.executable, *words, cwd=folder, env=environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            try:
                out, err = await asyncio.wait_for(process.communicate(), timeout_s)
            except (TimeoutError, asyncio.CancelledError) as error:
                process.kill()
                await process.wait()
                if isinstance(error, asyncio.CancelledError):
                    raise
                return Ended(None, b"", b"", True, {})
            made = {path.name: path.read_bytes() for path in Path(folder).glob("*.*") if path.is_file()}
            return Ended(process.returncode, out, err, False, made)
