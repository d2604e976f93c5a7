"""A server with one static model and arms of several providers; nothing is loaded, so it starts quickly."""

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from openai import OpenAI

from tests.engines.providers.fake_provider import FakeProvider
from tests.integration.routing_providers import (
    ANTHROPIC_KEY,
    GEMINI_KEY,
    OPENAI_KEY,
    Providers,
    providers,
)
from tests.integration.stack import Stack, until

LOCAL, OPENAI, CLAUDE, GEMINI = "local/helper", "openai/small", "anthropic/claude", "gemini/flash"
GOOD, BAD, DEAR, KEYLESS = "acme/good", "acme/bad", "acme/dear", "mistral/keyless"
FAILING, CHOSEN, SLOW, CUT, NARROW = (
    "shaky/failing", "shaky/chosen", "shaky/slow", "shaky/cut", "shaky/narrow"
)  # fmt: skip
AUTO = "zoran/auto"
PATIENCE_S = 60.0
SOON_S = 40.0
"""For what takes a second or two on an idle machine."""
KEY_FILE = "anthropic.key"
PLANTED = (OPENAI_KEY, ANTHROPIC_KEY, GEMINI_KEY)


def arm(name: str, server: FakeProvider, usd_per_million: float = 1.0, **more: Any) -> dict[str, Any]:
    """An entry of the models file: a provider with OpenAI's protocol, if `more` does not say otherwise."""
    return {
        "name": name,
        "provider": "openai_compatible",
        "upstream": name.rpartition("/")[2],
        "base_url": server.url,
        "context_tokens": 8192,
        "max_output_tokens": 64,
        "capabilities": ["tools"],
        "usd_per_million_input": usd_per_million,
        "usd_per_million_output": usd_per_million,
        "data_goes": "us",
        "api_key_env": "OPENAI_API_KEY",
    } | more


def models_file(them: Providers) -> dict[str, Any]:
    """What the server begins with."""
    local = {"name": "helper", "source": them.local.url.removesuffix("/v1"), "capabilities": ["tools"]}
    claude = {"provider": "anthropic", "api_key_env": None, "api_key_file": f"./{KEY_FILE}"}
    flash = {"provider": "gemini", "api_key_env": "GEMINI_API_KEY"}
    return {
        "models": [local],
        "arms": [
            arm(OPENAI, them.openai, 2.0, provider="openai"),
            arm(CLAUDE, them.anthropic, 3.0, **claude),
            arm(GEMINI, them.gemini, 1.0, **flash),
            arm(GOOD, them.openai),
            arm(BAD, them.openai),
            # One for each way to fail: whatever becomes of one says nothing of the others.
            *(arm(name, them.shaky, fallbacks=[GOOD]) for name in (FAILING, CUT)),
            arm(SLOW, them.shaky, fallbacks=[GOOD], timeout_s=1.0),
            arm(CHOSEN, them.shaky),
            arm(NARROW, them.shaky, max_concurrency=1, max_queued=0),
            arm(DEAR, them.openai, 100.0),
            arm(KEYLESS, them.openai, provider="mistral", api_key_env="MISTRAL_API_KEY"),
        ],
    }


@dataclass
class Routed:
    """The running server, who it asks, and a key that opens it.

    Attributes:
        file: The models file, as it was last saved and taken over.
    """

    stack: Stack
    providers: Providers
    key: str
    client: OpenAI
    http: httpx.Client
    file: dict[str, Any]

    # -- asking ------------------------------------------------------------------------------

    def ask(
        self, model: str, said: str | list[dict[str, Any]], key: str | None = None, **more: Any
    ) -> httpx.Response:
        """One chat request."""
        messages = [{"role": "user", "content": said}] if isinstance(said, str) else said
        body = {"model": model, "messages": messages, "max_tokens": 16, **more}
        return self.http.post("/v1/chat/completions", json=body, headers=bearer(key or self.key))

    def score(self, request_id: str, score: float, key: str | None = None) -> httpx.Response:
        """What an answer was worth."""
        said = {"request_id": request_id, "score": score}
        return self.http.post("/v1/feedback", json=said, headers=bearer(key or self.key))

    def lesson(self, *arms: str) -> str:
        """Let `zoran/auto` choose among these, and say that one arm is good and all others are bad.

        Returns:
            Who answered.
        """
        answer = self.ask(AUTO, new_question(), zoran={"arms": arms})
        who = answer.headers["x-zoran-model"]
        self.score(answer.headers["x-request-id"], float(who == GOOD)).raise_for_status()
        return who

    @contextmanager
    def asking(self) -> Iterator[list[httpx.Response]]:
        """Ask `zoran/auto` without a pause meanwhile; gives the answers so far."""
        answers: list[httpx.Response] = []
        over = threading.Event()

        def ask() -> None:
            while not over.is_set():
                answers.append(self.ask(AUTO, new_question(), zoran={"arms": [GOOD, BAD]}))

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield answers
        finally:
            over.set()
            thread.join()

    # -- looking -----------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """What routing has learned, and what the gateway sees of the arms."""
        answer = self.http.get("/v1/routing/state")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def outcomes(self) -> int:
        """Answers and scores learned from; -1 while the Resonator is away or has not caught up."""
        answer = self.http.get("/v1/routing/state")
        if answer.status_code != 200 or not answer.json()["arms"] or answer.json()["behind"]:
            return -1
        return sum(row["outcomes"] for row in answer.json()["arms"].values())

    def settled(self) -> int:
        """Outcomes, once nothing more comes; gateways send theirs within a quarter of a second."""
        seen = [-2]

        def still() -> bool:
            time.sleep(0.5)
            seen.append(self.outcomes())
            return seen[-1] == seen[-2] >= 0

        soon("all is learned", still)
        return seen[-1]

    def knows_the_arms(self) -> bool:
        """Whether the gateway has the Resonator's first snapshot; the server does not wait for it."""
        return bool(self.explained("hello")["choice"]["reason"] != "nothing learned")

    def explained(self, text: str, **zoran: Any) -> dict[str, Any]:
        """What `/v1/route/explain` says."""
        body = {"messages": [{"role": "user", "content": text}], "zoran": zoran}
        answer = self.http.post("/v1/route/explain", json=body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def estimates(self, text: str) -> dict[str, dict[str, Any]]:
        """What is believed of each arm, by name."""
        return {row["name"]: row for row in self.explained(text)["arms"]}

    def provider_row(self, name: str) -> dict[str, Any]:
        """What the gateway sees of one arm."""
        (row,) = (row for row in self.state()["providers"] if row["name"] == name)
        return dict(row)

    def rows(self) -> dict[str, dict[str, Any]]:
        """`/v1/models` by name."""
        return {row["id"]: row["zoran"] for row in self.http.get("/v1/models").json()["data"]}

    def usd(self, name: str, tokens: int) -> float:
        """What so many tokens cost at an arm, whose prices for input and output are the same."""
        prices = {each["name"]: each["usd_per_million_input"] for each in self.file["arms"]}
        return tokens * prices.get(name, 0.0) / 1e6

    # -- its owner's doings ------------------------------------------------------------------

    def save(self, file: dict[str, Any]) -> None:
        """Write the models file, a field a line, so that a mistake in it can be found."""
        (self.stack.folder / "models.yaml").write_text(json.dumps(file, indent=1))

    def edited(self) -> dict[str, Any]:
        """A copy of the models file, to be changed and saved."""
        return deepcopy(self.file)

    def told_of_file(self) -> dict[str, Any]:
        """What the server says of its models file."""
        found: dict[str, Any] = self.stack.control.call("status", 15)["models_file"]
        return found

    def zoran(self, *arguments: str) -> Any:
        """What a command prints as JSON. It must succeed."""
        done = self.stack.zoran(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def new_key(self, name: str, *flags: str) -> str:
        """A key that the server knows already."""
        key = str(self.zoran("keys", "create", name, *flags)["key"])
        soon(
            f"the key '{name}' opens the door",
            lambda: self.http.get("/v1/models", headers=bearer(key)).status_code == 200,
        )
        return key


_numbers = itertools.count()


def new_question() -> str:
    """One that was not asked before: the same again would be a sign against the first answer."""
    return f"What is {next(_numbers)}+5?"


def soon(what: str, holds: Callable[[], bool]) -> None:
    """Wait until it holds, but not for long."""
    until(what, holds, SOON_S)


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def holders(folders: Iterable[Path]) -> tuple[list[str], int]:
    """Files below these with one of the planted keys in them, and how many were looked at."""
    keys = [key.encode() for key in PLANTED]
    found, looked_at = [], 0
    for path in (path for folder in folders for path in folder.rglob("*")):
        with suppress(FileNotFoundError):
            if path.is_file() and not path.is_symlink():
                looked_at += 1
                text = path.read_bytes()
                found += [path.name] if any(key in text for key in keys) else []
    return found, looked_at


@contextmanager
def routed_server() -> Iterator[Routed]:
    """Start it all. It must end clean, and have written nobody's key."""
    keys = {"OPENAI_API_KEY": OPENAI_KEY, "GEMINI_API_KEY": GEMINI_KEY}
    with providers() as them:
        stack = Stack([], settings=keys)
        try:
            yield from _started(stack, them)
            status = stack.stop()
            left = stack.left_behind()
            assert status == 0, stack.log()
            assert not any(left.values()), left
            assert holders([stack.folder])[0] == [KEY_FILE]
        finally:
            stack.kill()
        stack.forget()


def _started(stack: Stack, them: Providers) -> Iterator[Routed]:
    (stack.folder / KEY_FILE).write_text(f"{ANTHROPIC_KEY}\n")
    made = stack.zoran("keys", "create", "main", "--json")
    assert made.returncode == 0, made.stderr
    key = json.loads(made.stdout)["key"]
    stack.environment["ZORAN_API_KEY"] = key
    with (
        OpenAI(base_url=f"{stack.base_url}/v1", api_key=key, max_retries=0, timeout=PATIENCE_S) as client,
        httpx.Client(base_url=stack.base_url, headers=bearer(key), timeout=PATIENCE_S) as http,
    ):
        routed = Routed(stack, them, key, client, http, models_file(them))
        routed.save(routed.file)
        stack.start()
        until("the router knows the arms", routed.knows_the_arms)
        yield routed
