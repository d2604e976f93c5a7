"""The office of a deployment: settings become policies, models, a sandbox, forges, targets and a memory.

Slow to import, for everything that tasks need is; see `actors.autopilot`.
"""

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from actors.fix_memory import SharedFixMemory
from actors.forge_access import ForgeAccess
from actors.gateway_asking import GatewayAsking
from actors.gateway_embedder import GatewayEmbedder
from actors.gateway_model import GatewayModel
from actors.policy_sandbox import PolicySandbox
from actors.told import ask_journal, tell
from zoran_ray.autopilot import Task, Tasks
from zoran_ray.autopilot.context import Embed
from zoran_ray.autopilot.copies import COPIES
from zoran_ray.autopilot.counted_runner import CountedRunner
from zoran_ray.autopilot.database import FOLDER
from zoran_ray.autopilot.deploy import Deployer, deployers_of
from zoran_ray.autopilot.git import Author
from zoran_ray.autopilot.metrics import TaskMetrics
from zoran_ray.autopilot.office import Rules, TaskOffice
from zoran_ray.autopilot.pilot import Pilot, PilotSettings, World
from zoran_ray.autopilot.remote import Whereabouts
from zoran_ray.autopilot.telling import TellMoves
from zoran_ray.autopilot.workers import WorksOn
from zoran_ray.errors import ZoranError
from zoran_ray.memory.embedder import HASHED, chosen
from zoran_ray.messages import ANYBODY_ID
from zoran_ray.policy import Policy, read_policy, shipped_policy_file
from zoran_ray.reasoning.completion import Complete
from zoran_ray.settings import AutopilotSettings, MemorySettings, Settings


def deployed_office(
    settings: Settings,
    environ: Mapping[str, str] | None = None,
    pilot: Callable[[Tasks], WorksOn] | None = None,
    tell: TellMoves = tell,
) -> TaskOffice:
    """The office of a deployment, not begun yet.

    Args:
        settings: Of the deployment.
        environ: Where tokens of forges are; None for this process's own.
        pilot: Makes whoever works on tasks; None for the pilot.
        tell: Writes moves into the journal.

    Raises:
        ConfigError: A target cannot be used.
    """
    deployers = deployers_of(settings.autopilot.targets)

    metrics = TaskMetrics()

    def usual(tasks: Tasks) -> WorksOn:
        tokens = os.environ if environ is None else environ
        return _pilot(tasks, settings, tokens, deployers, metrics.ran)

    rules = rules_of(settings.autopilot, frozenset(deployers))
    return TaskOffice(settings.state_dir, rules, pilot or usual, tell, metrics=metrics)


def rules_of(settings: AutopilotSettings, targets: frozenset[str]) -> Rules:
    """What tasks may be asked for."""

    def places(key_id: str) -> Whereabouts:
        return Whereabouts(settings.paths, frozenset(settings.forges), open=key_id == ANYBODY_ID)

    return Rules(
        policy_reader(settings), places, settings.model, targets, settings.workers, settings.lease_s,
        settings.keep_days, settings.keep_tasks,
    )  # fmt: skip


def policy_reader(settings: AutopilotSettings) -> Callable[[], Policy]:
    """Reads the operator's policy."""
    path = settings.policy_file or shipped_policy_file()
    return lambda: read_policy(path)


def vectors_of(settings: MemorySettings) -> Callable[[Task], Embed] | None:
    """What searches repositories by meaning: the memory's embedding model. None where it has none.

    A gateway masks for each owner what the privacy profile does not let that model see.

    Raises:
        InvalidRequest: The embedder's name is none.
    """
    if settings.embedder == HASHED:
        return None  # they find spelling, which words do by themselves; see benchmarks/README.md
    # Once: nobody waits for a search that words can answer.
    embedder = GatewayEmbedder(chosen(settings), tries=1)
    return lambda task: partial(embedder.embed, tenant=task.owner)


def _pilot(
    tasks: Tasks,
    settings: Settings,
    environ: Mapping[str, str],
    deployers: Mapping[str, Deployer],
    count: Callable[[str, float], None],
) -> WorksOn:
    own, asking = settings.autopilot, GatewayAsking(settings.server.request_timeout_s)
    access = ForgeAccess(own.forges, environ)
    sandbox = PolicySandbox(settings.sandbox, settings.state_dir)

    def complete(task: Task) -> Complete:
        return GatewayModel(asking, str(task.request["model"]), str(task.request["key_id"]), task.id)

    world = World(
        folder=settings.state_dir / FOLDER / COPIES,
        complete=complete,
        policy=policy_reader(own),
        runner=lambda policy: CountedRunner(sandbox(policy), count),
        forge=access.forge,
        token=access.token,
        deployers=deployers,
        memory=SharedFixMemory(settings.state_dir, tell),
        journal_root=_journal_root,
        embed=vectors_of(settings.memory),
    )
    author = Author(own.author_name, own.author_email)
    return Pilot(tasks, world, PilotSettings(lease_s=own.lease_s, author=author))


async def _journal_root() -> str | None:
    try:
        head: Mapping[str, Any] = await ask_journal("head")
    except ZoranError:
        return None
    return str(head["root"])
