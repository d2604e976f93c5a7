"""Started by `test_budgets` in a process of its own, because a process has one Ray.

The real authority as an actor, two gateways' `Spending`, many requests at once, and a kill in the middle.
Prints as JSON what was sent and what the authority says of it.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

from actors.cluster import await_control_plane, start_control_plane, start_ray, stop_ray
from actors.names import ACCESS, call
from serve_apps.gateway.spending import Spending
from zoran_ray.access import EVERYBODY, nano_usd, usd
from zoran_ray.errors import BudgetExceeded, Unavailable
from zoran_ray.messages import KeyInfo
from zoran_ray.settings import BudgetSettings, ClusterSettings, Settings

KEYS = (
    KeyInfo("key-a", "a", "", usd_per_day=0.30, usd_per_request=0.02),
    KeyInfo("key-b", "b", "", usd_per_day=0.40),
)
MOST = nano_usd(0.01, "most")
DEADLINE_S = 60.0


class Books:
    """What the requests themselves say."""

    def __init__(self) -> None:
        self.paid: Counter[str] = Counter()
        self.open: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.told = ""

    def sent(self, key: KeyInfo) -> None:
        for owner in (key.key_id, EVERYBODY):
            self.open[owner] += MOST
            self.most[owner] = max(self.most[owner], self.open[owner] + self.paid[owner])

    def over(self, key: KeyInfo, actual: int) -> None:
        for owner in (key.key_id, EVERYBODY):
            self.open[owner] -= MOST
            self.paid[owner] += actual


async def request(spending: Spending, books: Books, number: int) -> None:
    """One request, as a gateway runs it."""
    key = KEYS[number % 2]
    try:
        with spending.tab(key, 600.0) as tab:
            await tab.reserve(MOST)
            books.sent(key)
            await asyncio.sleep(0.002)
            actual = MOST * (number % 5) // 5
            books.over(key, actual)
            tab.settle(actual)
            books.ended["answered"] += 1
    except BudgetExceeded as refused:
        books.ended[refused.code] += 1
        books.told = refused.message
    except Unavailable as away:
        books.ended[away.code] += 1


async def drive() -> dict[str, Any]:
    books = Books()
    gateways = [Spending(), Spending()]
    runs = [asyncio.create_task(gateway.run()) for gateway in gateways]
    await storm(gateways, books, 60)
    kill_the_authority()
    await storm(gateways, books, 40)
    deadline = time.monotonic() + DEADLINE_S
    while books.ended["budget_exceeded"] < 20 and time.monotonic() < deadline:
        await storm(gateways, books, 40)
        await asyncio.sleep(0.2)
    for run in runs:
        run.cancel()
    for gateway in gateways:
        await gateway.flush(DEADLINE_S)
    spent = {owner: await call(ACCESS, "spent", owner) for owner in books.paid}
    return {
        "ended": books.ended,
        "told": books.told,
        "most": {owner: usd(nano) for owner, nano in books.most.items()},
        "paid": books.paid,
        "settled": {owner: account.settled for owner, account in spent.items()},
        "reserved": {owner: account.reserved for owner, account in spent.items()},
    }


async def storm(gateways: list[Spending], books: Books, number: int) -> None:
    await asyncio.gather(*(request(gateways[n // 2 % 2], books, n) for n in range(number)))


def kill_the_authority() -> None:
    (actor,) = (
        each
        for each in psutil.Process().children(recursive=True)
        if "AccessAuthority" in " ".join(each.cmdline())
    )
    os.kill(actor.pid, signal.SIGKILL)


def main(folder: Path) -> None:
    """Run it all with a state directory below `folder`."""
    settings = Settings(
        state_dir=folder / "state",
        cluster=ClusterSettings(num_cpus=2),
        budget=BudgetSettings(usd_per_day=0.50),
    )
    run_dir = folder / "run"
    run_dir.mkdir()
    try:
        start_ray(settings, run_dir)
        start_control_plane(settings)
        await_control_plane()
        print(json.dumps(asyncio.run(drive())))
    finally:
        stop_ray(run_dir)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
