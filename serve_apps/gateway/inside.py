"""A request that the cluster itself makes, in the name of a key: the same path as any other, without HTTP.

Whose name it is stands in the scope, where only this process can put it. So no secret has to be shared, and
keys need not be kept in the clear.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from serve_apps.gateway.incoming import KEY_ID, Message, Receive, Scope, Send
from zoran_ray.batch.answers import outcome_of
from zoran_ray.batch.outcome import Outcome

App = Callable[[Scope, Receive, Send], Awaitable[None]]


async def ask_inside(app: App, path: str, body: bytes, key_id: str, request_id: str) -> Outcome:
    """What the gateway answers. Cancelling it stops everything downstream.

    Args:
        app: The gateway.
        path: An endpoint that does not stream unless asked to.
        body: JSON.
        key_id: In whose name; models, limits, budgets and privacy are those of that key.
        request_id: By which the log has it.
    """
    scope = _scope(path, body, key_id, request_id)
    sent = [{"type": "http.request", "body": body, "more_body": False}]
    status, headers, parts = 0, dict[str, str](), list[bytes]()

    async def receive() -> Message:
        if sent:
            return sent.pop()
        await asyncio.Event().wait()  # it does not go away: it is cancelled
        raise AssertionError("nobody sets it")

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            headers.update(
                (name.decode("latin-1"), value.decode("latin-1")) for name, value in message["headers"]
            )
        else:
            parts.append(message.get("body", b""))

    await app(scope, receive, send)
    return outcome_of(status, {"x-request-id": request_id, **headers}, b"".join(parts), _wait_s(headers))


def _scope(path: str, body: bytes, key_id: str, request_id: str) -> Scope:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", request_id.encode()),
    ]
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
        KEY_ID: key_id,
    }


def _wait_s(headers: dict[str, str]) -> float | None:
    told = headers.get("retry-after-ms", "")
    return int(told) / 1000 if told.isdecimal() else None
