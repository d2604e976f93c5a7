"""Providers for a whole server to ask, in a thread of the test process, and how they go wrong.

Each says the name of the model it was asked for, so that a test sees who has answered.
"""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web

from tests.engines.providers import fake_anthropic, fake_gemini
from tests.engines.providers.fake_provider import FakeProvider, reset
from tests.engines.providers.speeches import CHAT, DONE, Said, Speech, event

OPENAI_KEY = "sk-proj-canary-5d0f1c9a7e42"
ANTHROPIC_KEY = "sk-ant-canary-81b3e6d04f17"
GEMINI_KEY = "AIza-canary-c27f90ab1de5"
ARGUMENTS = '{"city": "Orléans"}'
BEGUN = "So far so"
"""What a provider has said when it breaks off."""

_ENDS_WITHIN_S = 30.0
_ON_ITS_WAY_S = 0.2


def saying(model: str) -> str:
    """What the model of this name answers."""
    return f"Grüße 🌍 from {model}"


@dataclass(frozen=True)
class Namesake(Speech):
    """OpenAI's protocol. Has every model, and calls the first tool it is offered."""

    def answer(self, path: str, body: Any) -> Said | list[bytes]:
        told = replace(self, model=body["model"])
        if path != CHAT:
            return super(Namesake, told).answer(path, body)
        tools = body.get("tools") or []
        message = _call(tools[0]["function"]["name"]) if tools else {"content": saying(told.model)}
        reason = "tool_calls" if tools else "stop"
        if not body.get("stream"):
            whole = told.chat(**{"content": None, **message})
            whole["choices"][0]["finish_reason"] = reason
            return Said(whole)
        counted = bool((body.get("stream_options") or {}).get("include_usage"))
        return told.told_bit_by_bit(message, reason, counted)

    def told_bit_by_bit(self, message: dict[str, Any], reason: str, counted: bool) -> list[bytes]:
        """The same as events, with the usage behind them if it is to be counted."""
        head = self.head("chat.completion.chunk")
        said = message.get("content") or ""
        deltas = (
            [{"role": "assistant"}, {"content": said[:4]}, {"content": said[4:]}] if said else [message]
        )
        pieces = [
            head | {"choices": [{"index": 0, "delta": each, "finish_reason": None}]} for each in deltas
        ]
        pieces.append(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        if counted:
            pieces.append(head | {"choices": [], "usage": dict(self.usage)})
        return [*map(event, pieces), DONE]

    def listed(self, path: str) -> Said:
        return super(Namesake, replace(self, model=_asked_for(path))).listed(path)


class Claude(Speech):
    """Anthropic's Messages API."""

    def answer(self, path: str, body: Any) -> Said | list[bytes]:
        if path != "/v1/messages":
            return Said(fake_anthropic.error("not_found_error", "No such path."), 404)
        if tools := body.get("tools"):
            blocks, stop = (
                [fake_anthropic.tool_use("toolu_1", tools[0]["name"], {"city": "Orléans"})],
                "tool_use",
            )
        else:
            blocks, stop = [fake_anthropic.text(saying(body["model"]))], "end_turn"
        whole = fake_anthropic.message(*blocks, stop=stop, model=body["model"])
        if not body.get("stream"):
            return Said(whole)
        return [fake_anthropic.encoded([each]) for each in fake_anthropic.events(whole, (4,))]

    def listed(self, path: str) -> Said:
        name = _asked_for(path)
        told = {"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"}
        return Said(told)

    def bad_key(self, key: str) -> Said:
        return Said(fake_anthropic.error("authentication_error", f"invalid x-api-key: {key}"), 401)


class Flash(Speech):
    """Gemini's API."""

    def answer(self, path: str, body: Any) -> Said | list[bytes]:
        name, _, method = path.removeprefix("/v1/models/").partition(":")
        if tools := body.get("tools"):
            called = tools[0]["functionDeclarations"][0]["name"]
            part = fake_gemini.call(called, {"city": "Orléans"})
        else:
            part = fake_gemini.text(saying(name))
        whole = fake_gemini.answer(fake_gemini.candidate(part), modelVersion=name)
        return Said(whole) if method == "generateContent" else [fake_gemini.encoded([whole])]

    def listed(self, path: str) -> Said:
        name = _asked_for(path)
        return Said({"name": f"models/{name}", "version": "1", "displayName": name})

    def bad_key(self, key: str) -> Said:
        said = fake_gemini.error(400, "INVALID_ARGUMENT", f"API key not valid: {key}", "API_KEY_INVALID")
        return Said(said, 400)


def _asked_for(path: str) -> str:
    """The model whose entry is asked for; of the whole list, one of that name."""
    return path.rpartition("/")[2]


def _call(name: str) -> dict[str, Any]:
    function = {"name": name, "arguments": ARGUMENTS}
    return {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]}


async def broken_off(request: web.Request) -> web.StreamResponse:
    """A stream whose connection is reset in the middle of the answer."""
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    choice = {"index": 0, "delta": {"role": "assistant", "content": BEGUN}, "finish_reason": None}
    await response.write(event(Speech().head("chat.completion.chunk") | {"choices": [choice]}))
    await asyncio.sleep(_ON_ITS_WAY_S)  # a reset overtakes what is still on its way
    reset(request)
    return response


class Providers:
    """All that the tests' server asks.

    Attributes:
        local: Serves a model that the server takes for its own.
        shaky: Speaks OpenAI's protocol, and is the one that tests make fail.
    """

    def __init__(self) -> None:
        self.local = FakeProvider(Namesake())
        self.openai = FakeProvider(Namesake(), OPENAI_KEY)
        self.anthropic = FakeProvider(Claude())
        self.gemini = FakeProvider(Flash())
        self.shaky = FakeProvider(Namesake(), OPENAI_KEY)

    @property
    def all(self) -> tuple[FakeProvider, ...]:
        return self.local, self.openai, self.anthropic, self.gemini, self.shaky


@contextmanager
def providers() -> Iterator[Providers]:
    """The providers, in a thread of their own while the test's own waits for the server."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="providers")
    thread.start()

    def run(work: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result(_ENDS_WITHIN_S)

    them = Providers()
    begun: list[FakeProvider] = []
    try:
        for each in them.all:
            run(each.__aenter__())
            begun.append(each)
        yield them
    finally:
        for each in begun:
            run(each.__aexit__())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_ENDS_WITHIN_S)
        loop.close()
