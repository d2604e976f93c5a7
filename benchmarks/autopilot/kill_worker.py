"""A worker in a process of its own: takes a task all the way, and is killed where `kill` wants it."""

import asyncio
import sqlite3
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.autopilot.stage import TARGET, TOKEN, sandbox_of, sovereign_policy
from benchmarks.autopilot.trap import Trap
from benchmarks.reasoning.model import ServedModel
from zoran_ray.access.private_db import PrivateDatabase
from zoran_ray.autopilot import Lease, State, Tasks
from zoran_ray.autopilot.database import DATABASE, SCHEMA, UPGRADES
from zoran_ray.autopilot.deploy import deployers_of
from zoran_ray.autopilot.forge import forge_of
from zoran_ray.autopilot.pilot import Pilot, PilotSettings, World
from zoran_ray.client import AsyncClient
from zoran_ray.deploy_targets import CommandTarget
from zoran_ray.sandbox import Backend

Json = Mapping[str, Any]
LEASE_S = 60.0
SETTINGS = PilotSettings(
    lease_s=LEASE_S, pauses_s=(0.2, 0.5, 1.0), poll_s=0.05, checks_s=10.0, health_s=10.0
)


@dataclass(frozen=True)
class Orders:
    """Where a worker works, and when it is to die.

    Attributes:
        folder: Of the tasks and of the copies; `moments` and `died` are written there.
        later_s: How much later than it is this worker lives: leases of the killed have ended.
        api_urls: As `forge_of` takes them.
        model: Address of the scripted model, and its name there.
        place: Folder of the commands that deploy.
        kills: As `Trap`.
        backend: Docker; None: no walls.
    """

    folder: Path
    later_s: float
    api_urls: Mapping[str, str]
    model: tuple[str, str]
    place: Path
    kills: Mapping[str, int] = field(default_factory=dict)
    backend: Backend | None = None


class _TrappedDatabase(PrivateDatabase):
    """The file of tasks, whose every statement is a moment for the trap."""

    def __init__(self, folder: Path, trap: Trap) -> None:
        super().__init__(
            folder / DATABASE, SCHEMA, "The file of tasks", "begin anew", upgrades=UPGRADES, keep_open=True
        )
        self._trap = trap

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        self._trap.touch()
        with super().write() as db:
            self._trap.trace(db)
            yield db
        self._trap.touch()


class _TrappedTasks(Tasks):
    """Tasks whose states the trap hears of."""

    trap: Trap

    def move(self, lease: Lease, to: State, facts: Json | None = None, told: Json | None = None) -> Lease:
        moved = super().move(lease, to, facts, told)
        self.trap.enter(to.value)
        return moved


def work(orders: Orders) -> None:
    """Takes the task to its end, or dies on the way."""
    trap = Trap(orders.kills, orders.folder / "died")
    trap.enter("claim")
    trap.set()
    database = _TrappedDatabase(orders.folder, trap)
    # Nobody gives a task up here: every moment of every state is one at which a worker may end.
    tasks = _TrappedTasks(database, lambda: time.time() + orders.later_s, most_lapses=sys.maxsize)
    tasks.trap = trap
    lease = tasks.claim(LEASE_S)
    assert lease is not None
    trap.enter(lease.task.state.value)
    asyncio.run(_work(orders, tasks, lease))
    lines = "".join(f"{state} {count}\n" for state, count in trap.moments.items())
    (orders.folder / "moments").write_text(lines)


async def _work(orders: Orders, tasks: Tasks, lease: Lease) -> None:
    address, name = orders.model
    policy = sovereign_policy()
    async with AsyncClient(address, "none", retries=0) as client:
        model = ServedModel(client, name)
        world = World(
            folder=orders.folder / "copies",
            complete=lambda _: model,
            policy=lambda: policy,
            runner=lambda policy: sandbox_of(orders.backend, policy),
            forge=lambda remote: forge_of(remote, TOKEN, orders.api_urls, between_writes_s=0.0),
            token=lambda _: TOKEN,
            deployers=deployers_of({TARGET: target(orders.place)}),
        )
        await Pilot(tasks, world, SETTINGS).run(lease)


_PLACE = """#!/bin/sh
# A place to deploy to: each act is a line of a file.
cd "$(dirname "$0")" || exit 1
what=$1; shift
last() { tail -n 1 "$1" 2>/dev/null | cut -d ' ' -f 1; }
die() { if [ -e "die-$what" ]; then rm "die-$what"; kill -9 "$PPID"; fi; }
case $what in
deploy) echo "r-$2 $1" >>deploys; die; echo "r-$2 $1" ;;
find) grep -F "r-$2 $1" deploys 2>/dev/null | tail -n 1 ;;
current) if [ -s deploys ] && [ ! -s rollbacks ]; then tail -n 1 deploys; else echo first; fi ;;
health) if [ "$1" != first ] && [ -e sick ]; then exit 1; fi ;;
roll_back) grep -qF "$2" rollbacks 2>/dev/null || echo "$1 $2" >>rollbacks; die; echo "$1" ;;
esac
"""


def make_place(folder: Path, *, sick: bool) -> None:
    """Writes the commands. Args: sick: Whether what is deployed there is not well."""
    folder.mkdir()
    (folder / "place.sh").write_text(_PLACE)
    if sick:
        (folder / "sick").touch()


def target(folder: Path) -> CommandTarget:
    """The place of `make_place`."""

    def words(*more: str) -> tuple[str, ...]:
        return ("sh", str(folder / "place.sh"), *more)

    return CommandTarget(
        kind="command",
        folder=folder,
        deploy=words("deploy", "{commit}", "{marker}"),
        health=words("health", "{release}"),
        roll_back=words("roll_back", "{release}", "{marker}"),
        current=words("current"),
        find=words("find", "{commit}", "{marker}"),
    )
