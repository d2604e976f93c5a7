"""Non-streaming requests at every host, and an account of what became of each."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

import httpx

from tests.cluster_hosts.town import REQUEST_S, Town, question

HANGS_S = REQUEST_S + 5
"""Who has no answer by then, five seconds behind the server's own deadline, hangs."""
_CONNECT_S = 3.0
_PAUSE_S = 0.1
_REFUSALS = (429, 502, 503, 504)
QUESTIONS = tuple((10 + 7 * number, 3 + 5 * number) for number in range(24))

Known = dict[tuple[int, int], str]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: at which host, when it began and ended (monotonic seconds), what became of it."""

    entry: str
    began: float
    ended: float
    outcome: str


@dataclass
class Load:
    """Requests at hosts, by as many threads as are asked for.

    Args:
        town: Whom to ask.
        known: The right answers.
    """

    town: Town
    known: Known
    seen: list[Asked] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def ask(self, entry: str, seed: int) -> None:
        """Ask that host one question after the other until it is over."""
        random = Random(seed)
        limits = httpx.Timeout(HANGS_S, connect=_CONNECT_S)
        with self.town.client(entry) as client:
            while not self._over.is_set():
                pair = random.choice(QUESTIONS)
                began = time.monotonic()
                outcome = self._outcome(client, pair, limits)
                self.seen.append(Asked(entry, began, time.monotonic(), outcome))
                self._over.wait(_PAUSE_S)

    def _outcome(self, client: httpx.Client, pair: tuple[int, int], limits: httpx.Timeout) -> str:
        try:
            answer = client.post("/v1/chat/completions", json=question(*pair), timeout=limits)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            return "unreachable"
        except httpx.TimeoutException:
            return "hung"
        except httpx.HTTPError:
            return "cut"
        if answer.status_code == 200:
            right = text_of(answer) == self.known[pair]
            return "answered" if right else f"wrong: {pair} {answer.text[:200]}"
        return _refusal(answer)

    def stop(self) -> None:
        """Begin no more."""
        self._over.set()

    # -- what became of them ----------------------------------------------------------------------

    def answered(self, entry: str) -> int:
        """How many that host has answered."""
        return sum(each.outcome == "answered" for each in list(self.seen) if each.entry == entry)

    def count(self, entries: Sequence[str] | None = None) -> Counter[str]:
        """Outcomes, of some hosts or of all."""
        return Counter(
            each.outcome.split(":")[0].split(" ")[0]
            for each in self.seen
            if entries is None or each.entry in entries
        )

    def odd(self) -> list[str]:
        """What was answered and should not have been answered so."""
        return sorted({each.outcome for each in self.seen if each.outcome.startswith(("wrong", "broken"))})

    def slowest_s(self, entries: Sequence[str]) -> float:
        """Seconds that the slowest request at these hosts took, whatever became of it."""
        return max((each.ended - each.began for each in self.seen if each.entry in entries), default=0.0)

    def errors_gone_s(self, since: float, entries: Sequence[str]) -> float:
        """Seconds from `since` to the end of the last request at these hosts that was not answered."""
        late = [e.ended - since for e in self.seen if e.entry in entries and e.outcome != "answered"]
        return max(0.0, *late) if late else 0.0


@contextmanager
def under_load(town: Town, known: Known, entries: Sequence[str], threads: int = 2) -> Iterator[Load]:
    """Keep these hosts a little busy; on the way out wait for the last answers."""
    load = Load(town, known)
    askers = [
        threading.Thread(target=load.ask, args=(entry, number))
        for number, entry in enumerate(name for name in entries for _ in range(threads))
    ]
    for thread in askers:
        thread.start()
    try:
        yield load
    finally:
        load.stop()
        for thread in askers:
            thread.join()


def learned(town: Town, entry: str) -> Known:
    """What the model says to every question while nothing is broken: greedy, so it says it again."""
    with town.client(entry) as client:
        return {
            pair: text_of(client.post("/v1/chat/completions", json=question(*pair))) for pair in QUESTIONS
        }


def text_of(answer: httpx.Response) -> str:
    """What the model said."""
    answer.raise_for_status()
    return str(answer.json()["choices"][0]["message"]["content"])


def _refusal(answer: httpx.Response) -> str:
    """A refusal is clean if it has OpenAI's body and says that trying again makes sense."""
    try:
        clean = set(json.loads(answer.content)["error"]) == {"message", "type", "param", "code"}
    except (ValueError, KeyError, TypeError):
        clean = False
    kind = "refused" if clean and answer.status_code in _REFUSALS else "broken"
    return f"{kind} {answer.status_code}" + ("" if kind == "refused" else f": {answer.text[:200]}")
