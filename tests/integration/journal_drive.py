"""Started by `test_journal` in a process of its own, because a process has one Ray.

Starts the control plane, tells the journal what happens as gateways and the Resonator do, kills its process
again and again meanwhile, and prints as JSON what was acknowledged and what the file holds then.
"""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

from actors.cluster import start_control_plane
from actors.names import REGISTRY, RESONATOR, call
from actors.told import ask_journal, forget_names, tell
from tests.integration.own_ray import last_line, own_ray, processes_of
from zoran_ray.errors import InvalidRequest, Unavailable
from zoran_ray.journal import JOURNAL_FILE, KEY_FILE, Event, Kind, load_key, verify_file
from zoran_ray.models_file import ModelsFile, ModelSpec
from zoran_ray.routing import Features, Prompt
from zoran_ray.routing.reports import Answered
from zoran_ray.settings import RoutingSettings, Settings

DEADLINE_S = 150.0
ROUNDS, CALLERS, KILLS = 30, 10, 3


async def patiently(call_once: Any) -> Any:
    """Until the journal answers, as after a restart."""
    while True:
        try:
            return await call_once()
        except Unavailable:
            await asyncio.sleep(0.1)


def wrote(record: str) -> Event:
    return Event(Kind.MEMORY_WRITE, {"record": record}, "acme", "ada")


async def tell_much() -> dict[str, int]:
    """The number that each acknowledged record's entry has."""
    acknowledged: dict[str, int] = {}

    async def caller(record: str) -> None:
        acknowledged[record] = await patiently(lambda: tell([wrote(record)]))

    for number in range(ROUNDS):
        told = [asyncio.create_task(caller(f"r{number}-{k}")) for k in range(CALLERS)]
        if number and number % (ROUNDS // KILLS) == 0:
            os.kill(processes_of("JournalWriter")[0], signal.SIGKILL)
        await asyncio.gather(*told)
    return acknowledged


async def route_something() -> None:
    x = Features(24)(Prompt("Write a python function"))
    answered = Answered(
        "q", "local/a", "local/a", 0.5, 1, x, "code", 10, 50.0, 1.0, 0.0, False, None, "k1", time.time()
    )
    await call(REGISTRY, "put_catalogue", ModelsFile(models=(ModelSpec(name="a"),)), timeout_s=60.0)
    await call(RESONATOR, "report", (answered,), timeout_s=60.0)


async def drive(state_dir: Path) -> dict[str, Any]:
    await patiently(lambda: ask_journal("head"))
    await route_something()
    acknowledged = await tell_much()
    try:
        await tell([Event(Kind.MEMORY_WRITE, {f"n{k}": k for k in range(32)}, "acme", "ada")])
        refused = ""
    except InvalidRequest as error:
        refused = type(error).__name__  # ours, without Ray's wrapper
    before = await patiently(lambda: tell([wrote("before")]))
    await forget_names("acme", "ada")
    after = await patiently(lambda: tell([wrote("after")]))
    rows: list[dict[str, Any]] = []
    while not any(row["kind"] == "routing.decision" for row in rows):
        rows = (await patiently(lambda: ask_journal("tail", 1000)))["entries"]
        await asyncio.sleep(0.1)
    held = {row["number"]: row["meta"] for row in rows}
    verdict = verify_file(state_dir / JOURNAL_FILE, key=load_key(state_dir / KEY_FILE).verifier)
    return {
        "acknowledged": len(acknowledged),
        "wrong": [name for name, number in acknowledged.items() if held[number]["record"] != name],
        "refused": refused,
        "good": verdict.is_good,
        "linked": held[before]["subject"] == held[after]["subject"],
        "names": len({held[number]["subject"] for number in acknowledged.values()}),
        "decision": next(row["meta"] for row in rows if row["kind"] == "routing.decision"),
    }


def main() -> None:
    with own_ray() as state_dir:
        start_control_plane(Settings(state_dir=state_dir, routing=RoutingSettings(size=24)))
        seen = asyncio.run(asyncio.wait_for(drive(state_dir), DEADLINE_S))
    last_line(seen)


if __name__ == "__main__":
    main()
