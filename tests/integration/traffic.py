"""Light load on a server, and an account of what became of each request."""

import contextlib
import itertools
import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx

_TIMEOUT_S = 300.0
_STREAM_TOKENS = 300


@dataclass
class Traffic:
    """Outcomes by kind.

    Attributes:
        whole: Requests without a stream: `answered`, `refused <status>`, `unreachable`, `broken: …`.
        streams: The same for streams, with `ended with an error event` and `cut`.
    """

    base_url: str
    whole: Counter[str] = field(default_factory=Counter)
    streams: Counter[str] = field(default_factory=Counter)
    _over: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        """Ask for short answers, one after the other, until it is over."""
        with httpx.Client(timeout=_TIMEOUT_S) as client:
            while not self._over.is_set():
                self.whole[self._asked(client)] += 1
                self._over.wait(0.05)

    def listen(self) -> None:
        """Take one stream after the other until it is over."""
        with httpx.Client(timeout=_TIMEOUT_S) as client:
            while not self._over.is_set():
                self.streams[self._streamed(client)] += 1
                self._over.wait(0.05)

    def _asked(self, client: httpx.Client) -> str:
        try:
            answer = client.post(f"{self.base_url}/chat/completions", json=_body(8, stream=False))
        except httpx.HTTPError as error:
            return _outcome(error)
        return "answered" if answer.status_code == 200 else _refusal(answer.status_code, answer.content)

    def _streamed(self, client: httpx.Client) -> str:
        body = _body(_STREAM_TOKENS, stream=True)
        try:
            with client.stream("POST", f"{self.base_url}/chat/completions", json=body) as answer:
                if answer.status_code != 200:
                    return _refusal(answer.status_code, answer.read())
                events = [line[6:] for line in answer.iter_lines() if line.startswith("data: ")]
        except httpx.HTTPError as error:
            return _outcome(error)
        if any("error" in json.loads(event) for event in events if event != "[DONE]"):
            return "ended with an error event"
        return "answered" if events[-1:] == ["[DONE]"] else "cut"

    @property
    def answered(self) -> int:
        """How many got what they asked for."""
        return self.whole["answered"] + self.streams["answered"]

    def stop(self) -> None:
        """Begin no more requests."""
        self._over.set()


@contextlib.contextmanager
def traffic(base_url: str, *, askers: int = 3, listeners: int = 2) -> Iterator[Traffic]:
    """Keep a server a little busy; on the way out, wait for the last answers."""
    running = Traffic(base_url)
    threads = [
        *(threading.Thread(target=running.ask) for _ in range(askers)),
        *(threading.Thread(target=running.listen) for _ in range(listeners)),
    ]
    for thread in threads:
        thread.start()
    try:
        yield running
    finally:
        running.stop()
        for thread in threads:
            thread.join()


_numbers = itertools.count()


def _body(tokens: int, *, stream: bool) -> dict[str, object]:
    question = f"{next(_numbers) % 900}+{25}"
    return {
        "model": "local/pocket",
        "messages": [{"role": "user", "content": question}],
        "max_tokens": tokens,
        "stream": stream,
        "ignore_eos": True,
    }


def _refusal(status: int, body: bytes) -> str:
    """A refusal is clean if it has OpenAI's body and says that trying again makes sense."""
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return f"broken: {status} with {body[:80]!r}"
    clean = set(error) == {"message", "type", "param", "code"} and status in (429, 502, 503, 504)
    return f"refused {status}" if clean else f"broken: {status} with {error}"


def _outcome(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.ConnectError):
        return "unreachable"
    if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError):
        return "cut"
    return f"broken: {type(error).__name__}"
