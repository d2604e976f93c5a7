"""A server locked as far as it goes: its own certificate, API keys, providers with keys, traces.

No engine is loaded, so it starts quickly.
"""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from tests.integration.routing_providers import ANTHROPIC_KEY, GEMINI_KEY, OPENAI_KEY, Providers, providers
from tests.integration.routing_stack import KEY_FILE, bearer, models_file
from tests.integration.stack import Stack
from tests.security.collector import Collector, collector
from tests.security.pairs import Authority, Pair

PATIENCE_S = 60.0
STRANGERS_KEY = "zk-str4nger-5e1d0a9b7c3f-canary"
"""A key that nobody made."""


@dataclass
class Locked:
    """The running server and what opens it.

    Attributes:
        stack: The server.
        authority: Who signed its certificate.
        pair: Its certificate and key.
        key: An API key.
        providers: Whom it asks.
        traces: Where its spans go.
    """

    stack: Stack
    authority: Authority
    pair: Pair
    key: str
    providers: Providers
    traces: Collector

    def client(self, key: str | None = None, *, http2: bool = False) -> httpx.Client:
        """One that trusts the root alone; `key` is the good one unless another is given."""
        context = ssl.create_default_context(cafile=self.authority.file)
        headers = bearer(self.key if key is None else key) if key != "" else {}
        return httpx.Client(
            base_url=self.stack.base_url,
            headers=headers,
            verify=context,
            http2=http2,
            trust_env=False,
            timeout=PATIENCE_S,
        )


@contextmanager
def locked_server() -> Iterator[Locked]:
    """Start it all. It must end clean."""
    with providers() as them, collector() as traces:
        settings = {"OPENAI_API_KEY": OPENAI_KEY, "GEMINI_API_KEY": GEMINI_KEY}
        stack = Stack([], settings=settings | {"OTEL_EXPORTER_OTLP_ENDPOINT": traces.url})
        try:
            yield _started(stack, them, traces)
            status = stack.stop()
            left = stack.left_behind()
            assert status == 0, stack.log()
            assert not any(left.values()), left
        finally:
            stack.kill()
            stack.forget()


def _started(stack: Stack, them: Providers, traces: Collector) -> Locked:
    (stack.folder / KEY_FILE).write_text(f"{ANTHROPIC_KEY}\n")
    authority = Authority(stack.folder)
    pair = authority.pair("public")
    made = stack.zoran("keys", "create", "main", "--json")
    assert made.returncode == 0, made.stderr
    (stack.folder / "models.yaml").write_text(json.dumps(models_file(them)))
    # As flags, which are relative to where one stands.
    stack.flags = ("--tls-cert=public.pem", "--tls-key=public.key")
    stack.base_url = stack.base_url.replace("http://", "https://")
    said = stack.start()
    assert said["url"] == stack.base_url
    return Locked(stack, authority, pair, json.loads(made.stdout)["key"], them, traces)
