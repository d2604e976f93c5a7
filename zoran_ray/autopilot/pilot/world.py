"""Everything that a pilot works with and does not make itself. Values and protocols alone."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from zoran_ray.autopilot.context import Embed
from zoran_ray.autopilot.deploy.deployer import Deployer
from zoran_ray.autopilot.engineer import EngineerSettings
from zoran_ray.autopilot.forge import Forge, MergeMethod
from zoran_ray.autopilot.git import Author
from zoran_ray.autopilot.task import Task
from zoran_ray.policy import Policy
from zoran_ray.reasoning.completion import Complete
from zoran_ray.tools.code_runner import CodeRunner


class FixMemory(Protocol):
    """Long-term memory of past fixes. What it raises is taken for silence."""

    async def find(self, owner: str, text: str) -> str:
        """What is remembered that is like a text; empty for nothing."""
        ...

    async def keep(self, owner: str, text: str) -> None:
        """Remembers a sentence."""
        ...


_AUTHOR = Author("zoran", "zoran@localhost")


async def _no_root() -> str | None:
    return None


@dataclass(frozen=True)
class World:
    """What there is outside of a task.

    Attributes:
        folder: Of our bare copies; ours alone.
        complete: The model, asked in the name of a task's owner.
        policy: Reads the operator's policy, anew for each task.
        runner: The sandbox within a policy's limits. Raises: SandboxUnavailable.
        forge: Of a remote.
        token: For git, of a remote; None for none.
        deployers: Places to deploy to, by name.
        memory: None where nothing is remembered.
        journal_root: Hexadecimal digits of the journal's root as it is now; None where nobody knows it.
        embed: Makes vectors of a repository's texts, in the name of a task's owner; None where repositories
            are searched by words alone.
    """

    folder: Path
    complete: Callable[[Task], Complete]
    policy: Callable[[], Policy]
    runner: Callable[[Policy], CodeRunner]
    forge: Callable[[str], Forge]
    token: Callable[[str], str | None]
    deployers: Mapping[str, Deployer] = field(default_factory=dict)
    memory: FixMemory | None = None
    journal_root: Callable[[], Awaitable[str | None]] = _no_root
    embed: Callable[[Task], Embed] | None = None


@dataclass(frozen=True, slots=True)
class PilotSettings:
    """How a pilot works.

    Attributes:
        lease_s: How long a task stays this worker's unless renewed, in seconds; it is renewed three times
            as often.
        author: Whose commits are made.
        engineer: How edits are made.
        method: How pull requests are merged.
        pauses_s: Rests after a fault that may pass, in seconds; after the last one the task is set aside.
        longest_pause_s: Whoever asks for more patience than that is not waited for.
        poll_s: Rest between two looks at checks or at a deployment's health, in seconds.
        checks_s: How long checks that are required may take, in seconds.
        health_s: How long a deployment may take to be healthy, in seconds.
        rounds: How often a change is tested on bases at most.
        memory_s: Longest search in the memory, in seconds.
        keep_s: How long the memory may take to keep a fix, in seconds: the first one starts it.
    """

    lease_s: float = 60.0
    author: Author = _AUTHOR
    engineer: EngineerSettings = field(default_factory=EngineerSettings)
    method: MergeMethod = MergeMethod.MERGE
    pauses_s: tuple[float, ...] = (1.0, 5.0, 20.0, 60.0)
    longest_pause_s: float = 300.0
    poll_s: float = 5.0
    checks_s: float = 1800.0
    health_s: float = 600.0
    rounds: int = 5
    memory_s: float = 10.0
    keep_s: float = 30.0
