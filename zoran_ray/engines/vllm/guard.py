"""The door of a replica: vLLM's application with a secret on every route and few routes."""

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SECRET_HEADER = b"x-zoran-replica-secret"
DRAINING_HEADER = b"x-zoran-draining"

_GO_ELSEWHERE = (503, [(DRAINING_HEADER, b"1")])

ALLOWED = frozenset(
    {
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/completions"),
        ("POST", "/v1/embeddings"),
        ("POST", "/v1/responses"),
        ("POST", "/v1/messages"),
        ("POST", "/v1/messages/count_tokens"),
        ("GET", "/metrics"),
        ("GET", "/health"),
    }
)


class Guard:
    """Lets a request through to `app` if it carries the secret and asks for an allowed route.

    A draining guard refuses new requests with 503 and a header that tells a gateway to try another
    replica at once; requests already inside run on. Once the engine is dead those get the same answer
    instead of its failure, as long as nothing was sent.

    Args:
        app: vLLM's application.
        secret: What a request must carry.
        dead: Whether the engine is lost for good.
    """

    def __init__(self, app: App, secret: str, dead: Callable[[], bool] = lambda: False) -> None:
        self._app = app
        self._secret = secret.encode()
        self._dead = dead
        self.draining = False
        self.inflight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        if refusal := self._refusal(scope):
            await _answer(send, *refusal)
            return
        self.inflight += 1
        try:
            await self._app(scope, receive, self._elsewhere_if_dead(send))
        finally:
            self.inflight -= 1

    def _elsewhere_if_dead(self, send: Send) -> Send:
        """`send`, but a failure of a dead engine sends the gateway to another replica."""
        replaced = False

        async def checked(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and message["status"] >= 500 and self._dead():
                replaced = True
                await _answer(send, *_GO_ELSEWHERE)
            elif not replaced:
                await send(message)

        return checked

    def _refusal(self, scope: Scope) -> tuple[int, list[tuple[bytes, bytes]]] | None:
        given = next((value for name, value in scope["headers"] if name == SECRET_HEADER), b"")
        if not hmac.compare_digest(given, self._secret):
            return 401, []
        if (scope["method"], scope["path"]) not in ALLOWED:
            return 404, []
        if (self.draining or self._dead()) and scope["method"] == "POST":
            return _GO_ELSEWHERE
        return None


async def _answer(send: Send, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    await send(
        {"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0"), *headers]}
    )
    await send({"type": "http.response.body", "body": b""})
