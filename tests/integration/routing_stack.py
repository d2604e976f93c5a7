"""A server with one static model and arms of several providers; nothing is loaded, so it starts quickly."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
from tests.integration.stack import Stack

LOCAL, OPENAI, CLAUDE, GEMINI = "local/helper", "openai/small", "anthropic/claude", "gemini/flash"
GOOD, BAD, SHAKY, DEAR = "acme/good", "acme/bad", "shaky/one", "acme/dear"
PATIENCE_S = 60.0
KEY_FILE = "anthropic.key"


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
            arm(SHAKY, them.shaky, timeout_s=1.0, fallbacks=[GOOD]),
            arm(DEAR, them.openai, 100.0),
        ],
    }


@dataclass
class Routed:
    """The running server, who it asks, and a key that opens it.

    Attributes:
        file: The models file, as it was written last.
    """

    stack: Stack
    providers: Providers
    key: str
    client: OpenAI
    http: httpx.Client
    file: dict[str, Any]

    def edit(self, file: dict[str, Any]) -> None:
        """Save another models file."""
        self.file = file
        # A field a line, so that a mistake in it can be found.
        (self.stack.folder / "models.yaml").write_text(json.dumps(file, indent=1))

    def ask(self, model: str, text: str, **more: Any) -> httpx.Response:
        """One chat request."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 16, **more}
        return self.http.post("/v1/chat/completions", json=body)

    def state(self) -> dict[str, Any]:
        """What routing has learned, and what the gateway sees of the arms."""
        answer = self.http.get("/v1/routing/state")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def provider_row(self, name: str) -> dict[str, Any]:
        """What the gateway sees of one arm."""
        (row,) = (row for row in self.state()["providers"] if row["name"] == name)
        return dict(row)

    def rows(self) -> dict[str, dict[str, Any]]:
        """`/v1/models` by name."""
        return {row["id"]: row["zoran"] for row in self.http.get("/v1/models").json()["data"]}

    def zoran(self, *arguments: str) -> Any:
        """What a command prints as JSON. It must succeed."""
        done = self.stack.zoran(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@contextmanager
def routed_server() -> Iterator[Routed]:
    """Start it all. It must end clean."""
    keys = {"OPENAI_API_KEY": OPENAI_KEY, "GEMINI_API_KEY": GEMINI_KEY}
    with providers() as them:
        stack = Stack([], settings=keys)
        try:
            yield from _started(stack, them)
            status = stack.stop()
            left = stack.left_behind()
            assert status == 0, stack.log()
            assert not any(left.values()), left
        finally:
            stack.kill()
        stack.forget()


def _started(stack: Stack, them: Providers) -> Iterator[Routed]:
    (stack.folder / KEY_FILE).write_text(f"{ANTHROPIC_KEY}\n")
    made = stack.zoran("keys", "create", "main", "--json")
    assert made.returncode == 0, made.stderr
    key = json.loads(made.stdout)["key"]
    stack.environment["ZORAN_API_KEY"] = key
    headers = {"authorization": f"Bearer {key}"}
    with (
        OpenAI(base_url=f"{stack.base_url}/v1", api_key=key, max_retries=0, timeout=PATIENCE_S) as client,
        httpx.Client(base_url=stack.base_url, headers=headers, timeout=PATIENCE_S) as http,
    ):
        routed = Routed(stack, them, key, client, http, {})
        routed.edit(models_file(them))
        stack.start()
        yield routed
