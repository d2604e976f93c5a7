"""Started by `test_resonator` in a process of its own, because a process has one Ray.

Starts the control plane, reports requests to the Resonator in batches as a gateway does, kills the actor's
process again and again meanwhile, and prints as JSON what was acknowledged and what the actor knows then.
"""

import asyncio
import os
import signal
import sqlite3
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from ray.exceptions import ActorDiedError, ActorUnavailableError

from actors.cluster import start_control_plane
from actors.names import REGISTRY, RESONATOR, call
from actors.resonator import JOURNAL_FILE
from tests.integration.own_ray import last_line, own_ray, processes_of
from zoran_ray.models_file import ModelsFile, ModelSpec
from zoran_ray.routing import Features, Prompt
from zoran_ray.routing.reports import Answered, Scored
from zoran_ray.settings import RoutingSettings, Settings

DEADLINE_S = 150.0
BATCHES, SIZE, KILLS = 30, 20, 3
NOW = time.time()
MODELS = ModelsFile(models=(ModelSpec(name="small"), ModelSpec(name="large")))
X = Features(24)(Prompt("Write a python function"))


def reports(batch: int) -> tuple[Answered, ...]:
    one = Answered(
        "r", "local/small", "local/small", 0.5, 1, X, "code", 10, 50.0, 1.0, 0.0, False, None, "alice", NOW
    )
    return tuple(replace(one, request_id=f"r{batch}-{n}") for n in range(SIZE))


async def told(*args: Any) -> Any:
    """Call the actor until it answers, as after a restart."""
    while True:
        try:
            return await call(RESONATOR, *args, timeout_s=10.0)
        except (ActorDiedError, ActorUnavailableError, TimeoutError, ValueError) as failure:
            sys.stderr.write(f"{args[0]}: {type(failure).__name__}: {failure}\n"[:300])
            await asyncio.sleep(0.1)


async def drive(state_dir: Path) -> dict[str, Any]:
    await call(REGISTRY, "put_catalogue", MODELS, timeout_s=60.0)
    first = await told("watch", "", 0, 5.0)
    acknowledged, killed, epochs = [], [], {first.epoch}
    for batch in range(BATCHES):
        sending = asyncio.create_task(told("report", reports(batch)))
        if batch and batch % (BATCHES // KILLS) == 0:
            victim = processes_of("ResonatorActor")[0]
            killed.append(victim)
            os.kill(victim, signal.SIGKILL)
        await sending
        acknowledged += [report.request_id for report in reports(batch)]
    scored = await told("score", Scored("r0-0", 1.0, "alice", NOW))
    again = await told("score", Scored("r0-0", 0.0, "alice", NOW))
    # The end comes at once after the last acknowledgement.
    os.kill(processes_of("ResonatorActor")[0], signal.SIGKILL)
    state = await told("state")
    while state["behind"] or not state["arms"]:
        await asyncio.sleep(0.1)
        state = await told("state")
    epochs.add(state["epoch"])
    with sqlite3.connect(state_dir / JOURNAL_FILE) as db:
        written = [row[0] for row in db.execute("SELECT request_id FROM decisions ORDER BY seq")]
    db.close()
    return {
        "acknowledged": len(acknowledged),
        "lost": sorted(set(acknowledged) - set(written)),
        "twice": len(written) - len(set(written)),
        "kills": len(killed) + 1,
        "epochs": len(epochs),
        "outcomes": state["arms"]["local/small"]["outcomes"],
        "requests": state["budget"]["requests"],
        "scores": [scored, again],
        "snapshot": (await told("watch", "", 0, 5.0)).arms,
    }


def main() -> None:
    with own_ray() as state_dir:
        start_control_plane(Settings(state_dir=state_dir, routing=RoutingSettings(size=24)))
        seen = asyncio.run(asyncio.wait_for(drive(state_dir), DEADLINE_S))
    last_line(seen)


if __name__ == "__main__":
    main()
