"""A small OpenAI-compatible server on loopback that answers what a test tells it to."""

import json
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    """One answer, sent chunk by chunk; `hold` keeps the connection open after them until it is set."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    chunks: Iterable[bytes] = ()
    hold: threading.Event | None = None


def json_reply(body: Any, status: int = 200, **headers: str) -> Reply:
    return Reply(status, {"content-type": "application/json", **headers}, [json.dumps(body).encode()])


def error_reply(status: int, code: str | None, message: str = "No.", **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return json_reply(
        {"error": {"message": message, "type": "x", "param": None, "code": code}}, status, **named
    )


def event(body: Any) -> bytes:
    return f"data: {body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)}\n\n".encode()


def delta(**message: str) -> bytes:
    return event(
        {"model": "local/pocket", "choices": [{"index": 0, "delta": message, "finish_reason": None}]}
    )


FINISH = event({"model": "local/pocket", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
USAGE = event({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}})
DONE = event("[DONE]")


def stream_reply(*chunks: bytes, hold: threading.Event | None = None) -> Reply:
    return Reply(200, {"content-type": "text/event-stream"}, chunks, hold)


class ChatServer:
    """Answers with the queued replies, then with the default ones; remembers every request."""

    def __init__(self) -> None:
        self.replies: deque[Reply] = deque()
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.hung_up = threading.Event()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None: ...

            def do_GET(self) -> None:
                self._answer(None)

            def do_POST(self) -> None:
                self._answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))

            def _answer(self, body: Any) -> None:
                owner.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                reply = owner.replies.popleft() if owner.replies else owner.default(self.path, body)
                self.send_response(reply.status)
                for name, value in {**reply.headers, "connection": "close"}.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    for chunk in reply.chunks:
                        self.wfile.write(chunk)
                        self.wfile.flush()
                    if reply.hold is not None:
                        reply.hold.wait(30)
                except OSError:
                    owner.hung_up.set()

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def default(self, path: str, body: Any) -> Reply:
        if path == "/v1/models":
            return json_reply(
                {"object": "list", "data": [{"id": "local/pocket", "owned_by": "zoran", "created": 5}]}
            )
        if path != "/v1/chat/completions":
            return error_reply(404, "unknown_url", "Unknown URL.")
        if body.get("stream"):
            return stream_reply(
                delta(role="assistant", content=""),
                delta(content="4"),
                delta(content="2"),
                FINISH,
                USAGE,
                DONE,
            )
        message = {"role": "assistant", "content": "42", "reasoning": "17+25"}
        return json_reply(
            {
                "model": body["model"],
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 7, "completion_tokens": 2},
            }
        )

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
