"""Tasks that the cluster has acknowledged, and whether each of their moves is there once."""

import itertools
import json
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.cluster_hosts.scripted import NAME
from tests.cluster_hosts.town import SHOP, Town
from tests.waiting import until
from zoran_ray.autopilot.demo import DEMO_MESSAGE

_PAUSE_S = 2.0
_ENDS_S = 240.0


@dataclass
class TaskBook:
    """Tasks that give advice, begun at one host one after the other.

    Args:
        town: Whom to ask.
        entry: The host.
    """

    town: Town
    entry: str
    begun: list[str] = field(default_factory=list)
    refused: int = 0
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def open(self) -> None:
        """Begin with them."""
        self._thread = threading.Thread(target=self._begin)
        self._thread.start()

    def _begin(self) -> None:
        asked = {
            "message": DEMO_MESSAGE, "repo_path": SHOP, "mode": "advisor", "model": NAME, "wait_s": 0
        }  # fmt: skip
        with self.town.client(self.entry) as client:
            while not self._over.is_set():
                with suppress(httpx.HTTPError):
                    answer = client.post("/v1/chat", json=asked)
                    if answer.status_code == 200:
                        self.begun.append(answer.json()["id"])
                    else:
                        self.refused += 1
                self._over.wait(_PAUSE_S)

    def close(self) -> None:
        """Begin no more."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def faults(self, client: httpx.Client) -> tuple[int, int]:
        """Moves that are lost and moves that are doubled, of all tasks, once each is finished."""
        told = [_faults(client, task) for task in self.begun]
        return sum(lost for lost, _ in told), sum(doubled for _, doubled in told)


def _faults(client: httpx.Client, task: str) -> tuple[int, int]:
    row: dict[str, Any] = {}

    def known() -> bool:
        with suppress(httpx.HTTPError):
            answer = client.get(f"/v1/tasks/{task}")
            row.update(answer.json() if answer.status_code == 200 else {})
            return answer.status_code == 404 or bool(row.get("finished"))
        return False

    until(f"{task} is finished", known, _ENDS_S, 0.5)
    if not row:
        return 1, 0
    moves = _moves(client, task)
    once = list(dict.fromkeys(moves))
    ends = [(None, None), *once, (row["state"], None)]
    # Each begins where the one before it has ended.
    lost = sum(one[1] != other[0] for one, other in itertools.pairwise(ends))
    return lost, len(moves) - len(once)


def _moves(client: httpx.Client, task: str) -> list[tuple[str | None, str]]:
    """From where to where, in order."""
    text = client.get(f"/v1/tasks/{task}/events").raise_for_status().text
    rows = [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line[:6] == "data: "]
    return [(row["data"].get("from"), row["data"]["to"]) for row in rows if row.get("kind") == "transition"]
