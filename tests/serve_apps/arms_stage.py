"""Arms in front of fake providers, and a client that remembers what it got."""

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any

from serve_apps.gateway.account import Account
from serve_apps.gateway.arms import Arms
from serve_apps.gateway.incoming import Incoming
from serve_apps.gateway.outgoing import Outgoing
from serve_apps.gateway.provider_relay import relay, relay_chain
from tests.engines.providers.fake_provider import FakeProvider
from tests.engines.providers.speeches import Speech
from zoran_ray.engines.breaker import BreakerPolicy
from zoran_ray.engines.catalogue import Catalogue
from zoran_ray.engines.retry import RetryPolicy
from zoran_ray.errors import ZoranError
from zoran_ray.models_file import ModelsFile
from zoran_ray.wire import Endpoint, Limits, RequestBody, parse

CANARY = "sk-proj-canary-5d0f1c9a7e42"
PROMPT = "prompt-canary-77"
PATIENCE_S = 10.0
ENVIRON = {"ACME_API_KEY": CANARY}
BREAKER = BreakerPolicy(least_results=3, open_s=5.0)
QUICK = RetryPolicy(first_wait_s=0.001)


def arm(name: str, url: str, **fields: Any) -> dict[str, Any]:
    """An entry of a catalogue."""
    given = {"upstream": Speech().model, "base_url": url, "context_tokens": 8192, "data_goes": "us"}
    priced = {"usd_per_million_input": 1, "usd_per_million_output": 2, "api_key_env": "ACME_API_KEY"}
    return {"name": name, "provider": "openai_compatible", **given, **priced, **fields}


def catalogue(*arms: dict[str, Any]) -> Catalogue:
    return Catalogue(ModelsFile.model_validate({"arms": arms}))


@dataclass
class Client:
    """One request and what came of it. Built as `serve_apps.gateway.exchange.Exchange` is."""

    body: RequestBody
    deadline: float
    request_id: str = "req-7f3a"
    heads: list[dict[str, Any]] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)
    error: ZoranError | None = None
    got: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        scope = {"type": "http", "method": "POST", "path": self.body.endpoint.path, "headers": []}
        self.outgoing = Outgoing(self._send, Incoming(scope))
        self.account = Account(self.body.endpoint)

    @property
    def status(self) -> int:
        return int(self.heads[0]["status"])

    @property
    def answer(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def json(self) -> Any:
        return json.loads(self.answer)

    @property
    def events(self) -> list[Any]:
        """The JSON of all events but `[DONE]`, which has to be the last."""
        told = self.answer.decode().removesuffix("\n\n").split("\n\n")
        assert told[-1] == "data: [DONE]"
        return [json.loads(event.removeprefix("data: ")) for event in told[:-1]]

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.heads.append(message)
        elif message["body"]:
            self.pieces.append(message["body"])
            self.got.set()


class Stage:
    """A gateway's arms and two providers, `acme/a` and `acme/b`."""

    def __init__(self, first: FakeProvider, second: FakeProvider) -> None:
        self.first, self.second = first, second
        self.later_s = 0.0
        self.arms = Arms(ENVIRON, lambda: time.monotonic() + self.later_s, BREAKER)
        self.clients: list[Client] = []
        self.offer()

    def offer(self, **fields: Any) -> None:
        """A catalogue with both, these fields in the first."""
        own = arm("acme/a", self.first.url, **fields), arm("acme/b", self.second.url)
        self.arms.update(catalogue(*own))

    def client(
        self, seconds: float = PATIENCE_S, endpoint: Endpoint = Endpoint.CHAT_COMPLETIONS, **fields: Any
    ) -> Client:
        """One that asks for this."""
        asked = {"messages": [{"role": "user", "content": PROMPT}]}
        document = {"model": "acme/a", **(asked if endpoint is Endpoint.CHAT_COMPLETIONS else {}), **fields}
        body = parse(json.dumps(document).encode(), endpoint, Limits())
        self.clients.append(Client(body, time.monotonic() + self.later_s + seconds))
        return self.clients[-1]

    async def serve(self, client: Client, *names: str) -> Client:
        """Its request, as the gateway treats it."""
        account = client.account
        try:
            await relay_chain(
                self.arms,
                names or ("acme/a", "acme/b"),
                lambda name: relay(self.arms, name, client),
                client.outgoing,
                deadline=client.deadline,
                policy=QUICK,
            )
        except ZoranError as error:
            client.error = account.error = error
            await client.outgoing.fail(error, "openai", account.events, account.usage)
        return client

    async def ask(self, *names: str, **fields: Any) -> Client:
        return await self.serve(self.client(**fields), *names)

    def row(self, name: str = "acme/a") -> dict[str, Any]:
        return next(row for row in self.arms.rows() if row["name"] == name)
