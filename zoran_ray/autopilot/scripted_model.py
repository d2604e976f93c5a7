"""A server with OpenAI's chat completions behind which no model stands: its answers are written down.

For the demonstration, for tests and for benchmarks, where what a model says must be known. Every name it
serves begins with `scripted/`, and it says so wherever the wire has room for it.

Source: OpenAI API reference, "Create chat completion" and its streaming events.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

PREFIX = "scripted/"
LABEL = "scripted: no model, its answers are written down"
MOST_BODY_BYTES = 8 * 1024 * 1024
_CHUNK_CHARS = 24
_CHARS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Reply:
    """What it says.

    Attributes:
        text: The whole answer.
        after_s: How long it waits before, in seconds; infinity for ever.
        finish: Why it ends.
    """

    text: str = field(repr=False)
    after_s: float = 0.0
    finish: str = "stop"


Script = Callable[[str, Sequence[Mapping[str, Any]]], Reply]
"""What a model of this name, without the prefix, says to a conversation."""


class ScriptedServer:
    """Serves a script on loopback.

    Args:
        script: What is said.
        names: Of its models, without the prefix.
        port: Where; 0 for any that is free.
    """

    def __init__(self, script: Script, names: Sequence[str], port: int = 0) -> None:
        self._script = script
        self._names = tuple(names)
        self._port = port
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> str:
        """Begins to listen; gives the address that clients call `base_url`."""
        app = web.Application(client_max_size=MOST_BODY_BYTES)
        app.add_routes(
            [web.get("/v1/models", self._models), web.post("/v1/chat/completions", self._complete)]
        )
        # A client that leaves ends the wait for it.
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}/v1"

    async def __aexit__(self, *_: object) -> None:
        """Ends, with every answer that is still waited for."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _models(self, _: web.Request) -> web.Response:
        rows = [
            {"id": f"{PREFIX}{name}", "object": "model", "created": 1, "owned_by": LABEL}
            for name in self._names
        ]
        return _json({"object": "list", "data": rows})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        try:
            body = orjson.loads(await request.read())
            name, messages = str(body["model"]), tuple(dict(each) for each in body["messages"])
        except (ValueError, KeyError, TypeError):
            return _error(
                400, "invalid_value", "The body is no chat completion: it needs model and messages."
            )
        if name.removeprefix(PREFIX) not in self._names:
            return _error(404, "model_not_found", f"There is no model {name[:100]!r} here. {LABEL}.")
        reply = self._script(name.removeprefix(PREFIX), messages)
        if reply.after_s == float("inf"):
            await asyncio.Event().wait()
        await asyncio.sleep(reply.after_s)
        if body.get("stream"):
            options = body.get("stream_options") or {}
            return await _stream(
                request, name, reply, _usage(messages, reply), bool(options.get("include_usage"))
            )
        message = {"role": "assistant", "content": reply.text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reply.finish}
        return _json(
            {**_head(name, "chat.completion"), "choices": [choice], "usage": _usage(messages, reply)}
        )


async def _stream(
    request: web.Request, name: str, reply: Reply, usage: Mapping[str, int], with_usage: bool
) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={"content-type": "text/event-stream", "cache-control": "no-store"}
    )
    await response.prepare(request)
    head = _head(name, "chat.completion.chunk")

    async def tell(choices: Sequence[Mapping[str, Any]], **more: Any) -> None:
        data = orjson.dumps({**head, "choices": choices, **more})
        await response.write(b"data: " + data + b"\n\n")

    def delta(piece: Mapping[str, str], finish: str | None = None) -> list[dict[str, Any]]:
        return [{"index": 0, "delta": piece, "logprobs": None, "finish_reason": finish}]

    await tell(delta({"role": "assistant", "content": ""}))
    for start in range(0, len(reply.text), _CHUNK_CHARS):
        await tell(delta({"content": reply.text[start : start + _CHUNK_CHARS]}))
    await tell(delta({}, reply.finish))
    if with_usage:
        await tell([], usage=usage)
    await response.write(b"data: [DONE]\n\n")
    return response


def text_of(messages: Sequence[Mapping[str, Any]]) -> str:
    """A conversation as one text."""
    return "\n".join(str(message.get("content") or "") for message in messages)


def _usage(messages: Sequence[Mapping[str, Any]], reply: Reply) -> dict[str, int]:
    """About as a tokenizer would count."""
    prompt, made = (max(1, len(text) // _CHARS_PER_TOKEN) for text in (text_of(messages), reply.text))
    return {"prompt_tokens": prompt, "completion_tokens": made, "total_tokens": prompt + made}


def _head(name: str, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-scripted-{time.monotonic_ns()}", "object": kind, "created": int(time.time()),
        "model": name, "system_fingerprint": LABEL,
    }  # fmt: skip


def _json(body: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")


def _error(status: int, code: str, message: str) -> web.Response:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return _json({"error": error}, status)
