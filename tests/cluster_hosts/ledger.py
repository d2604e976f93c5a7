"""What the cluster has acknowledged, written down by whoever asked, to be compared with what is there.

Nothing here is sent twice: what is found twice, the cluster has doubled.
"""

import json
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.cluster_hosts.task_book import TaskBook
from tests.cluster_hosts.town import Town
from tests.waiting import until

LINES = 40
_SUBJECTS = 12
_PAUSE_S = 0.1
_BATCH_S = 240.0
_BEHIND_S = 30.0


@dataclass
class Ledger:
    """Memory writes at one host, one after the other, tasks likewise, and one batch.

    Args:
        town: Whom to ask.
        entry: The host.
        mark: What tells this ledger's records from those of others.
    """

    town: Town
    entry: str
    mark: str
    texts: dict[str, str] = field(default_factory=dict)
    leaves: list[int] = field(default_factory=list)
    refused: int = 0
    behind_s: float = 0.0
    tasks: TaskBook = field(init=False)
    _batch: str = ""
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        self.tasks = TaskBook(self.town, self.entry)

    def open(self) -> None:
        """Begin to write, and hand in the batch."""
        with self.town.client(self.entry) as client:
            self._batch = _batch(client, self.mark)
        self._thread = threading.Thread(target=self._write)
        self._thread.start()
        self.tasks.open()

    def _write(self) -> None:
        number = 0
        with self.town.client(self.entry) as client:
            while not self._over.is_set():
                number += 1
                text = f"{self.mark} fact {number} is {number * 7}"
                draft = {"subject": self._subject(number), "text": text, "purpose": "knowledge"}
                with suppress(httpx.HTTPError):
                    answer = client.post("/v1/memory", json=draft | {"layer": "long"})
                    if answer.status_code == 200:
                        (row,) = answer.json()["data"]
                        self.texts[row["id"]] = text
                        self.leaves.append(row["journal_leaf"])
                    else:
                        self.refused += 1
                self._over.wait(_PAUSE_S)

    def _subject(self, number: int) -> str:
        return f"{self.mark}-{number % _SUBJECTS}"

    def close(self) -> None:
        """Write no more."""
        self._over.set()
        self.tasks.close()
        if self._thread is not None:
            self._thread.join()

    # -- what is there ----------------------------------------------------------------------------

    def faults(self, entry: str) -> tuple[dict[str, int], dict[str, int]]:
        """What is lost and what is doubled, as that host tells: of memory, journal, batch and tasks."""
        with self.town.client(entry, 60) as client:
            memory = self._memory_settled(client)
            journal = self._journal(client)
            batch = self._lines(client)
            tasks = self.tasks.faults(client)
        kinds = {"memory": memory, "journal": journal, "batch": batch, "tasks": tasks}
        return {k: v[0] for k, v in kinds.items()}, {k: v[1] for k, v in kinds.items()}

    def _memory_settled(self, client: httpx.Client) -> tuple[int, int]:
        """What stays away. For a moment a shard that was cut off may tell what it knew before: how long, is
        said in `behind_s`."""
        found = self._memory(client)
        began = time.monotonic()
        while found[0] and time.monotonic() - began < _BEHIND_S:
            time.sleep(0.5)
            found = self._memory(client)
            self.behind_s = time.monotonic() - began
        return found

    def _memory(self, client: httpx.Client) -> tuple[int, int]:
        found: Counter[str] = Counter()
        for number in range(_SUBJECTS):
            answer = client.post("/v1/memory/export", json={"subject": self._subject(number)})
            answer.raise_for_status()
            found.update(row["text"] for row in answer.json()["records"])
        lost = sum(text not in found for text in self.texts.values())
        return lost, sum(count - 1 for count in found.values())

    def _journal(self, client: httpx.Client) -> tuple[int, int]:
        lost = 0
        for leaf in self.leaves:
            lost += not _proven(client, leaf)
        return lost, len(self.leaves) - len(set(self.leaves))

    def _lines(self, client: httpx.Client) -> tuple[int, int]:
        job: dict[str, Any] = {}

        def done() -> bool:
            with suppress(httpx.HTTPError):
                answer = client.get(f"/v1/batches/{self._batch}")
                job.update(answer.json() if answer.status_code == 200 else {})
            return job.get("status") in ("completed", "failed", "expired", "cancelled")

        until("the batch is done", done, _BATCH_S, 0.5)
        answer = client.get(f"/v1/files/{job['output_file_id']}/content")
        found = Counter(json.loads(line)["custom_id"] for line in answer.text.splitlines())
        return sum(f"{self.mark}-{n}" not in found for n in range(LINES)), found.total() - len(found)


def _proven(client: httpx.Client, leaf: int) -> bool:
    """Whether the journal has this entry. One that is busy says so, and is asked again."""
    until = time.monotonic() + _BEHIND_S
    while True:
        status = client.get(f"/v1/journal/entries/{leaf}/proof").status_code
        if status not in (429, 502, 503, 504) or time.monotonic() > until:
            return status == 200
        time.sleep(0.5)


def _batch(client: httpx.Client, mark: str) -> str:
    lines = "".join(_line(mark, number) for number in range(LINES))
    file = client.post("/v1/files", files={"file": ("in.jsonl", lines.encode())}, data={"purpose": "batch"})
    file.raise_for_status()
    endpoint = "/v1/chat/completions"
    made = client.post("/v1/batches", json={"input_file_id": file.json()["id"], "endpoint": endpoint})
    made.raise_for_status()
    return str(made.json()["id"])


def _line(mark: str, number: int) -> str:
    body = {
        "model": "local/pocket",
        "messages": [{"role": "user", "content": f"What is {number}+{number}?"}],
        "max_tokens": 200,
        "ignore_eos": True,
    }
    row = {"custom_id": f"{mark}-{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps(row) + "\n"
