"""A replica that speaks vLLM's wire format, as a real server on loopback whose answers are scripted."""

import asyncio
import base64
import contextlib
import json
import struct
from dataclasses import dataclass

_HUNG_UP = (ConnectionError, asyncio.IncompleteReadError)


@dataclass
class Request:
    """What a replica got."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


class FakeReplica:
    """An HTTP/1.1 server whose answers are scripted: each request gets the next step, the last one stays.

    Attributes:
        aborted: Set once the gateway closed a connection on which an answer was under way.
    """

    def __init__(self, replica_id):
        self.replica_id = replica_id
        self.requests = []
        self.asked, self.aborted = asyncio.Event(), asyncio.Event()
        self._script = []
        self.connections = {}

    async def start(self):
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self):
        self._server.close()
        for writer in self.connections.values():
            writer.transport.abort()
        await asyncio.gather(*self.connections)

    def will(self, *steps):
        self._script = list(steps)
        return self

    async def _talk(self, reader, writer):
        self.connections[asyncio.current_task()] = writer
        try:
            with contextlib.suppress(*_HUNG_UP):
                while True:
                    self.requests.append(await self._read(reader))
                    self.asked.set()
                    step = self._script.pop(0) if len(self._script) > 1 else self._script[0]
                    if not await step(reader, writer):
                        return
        finally:
            del self.connections[asyncio.current_task()]
            writer.close()

    async def _read(self, reader):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.split(": ", 1) for line in head[1:] if line)
        headers = {name.lower(): value for name, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Request(head[0].split()[1], headers, body)

    # -- steps: what to answer; False ends the connection -------------------------------------

    def whole(self, body, status=200, kind="application/json", headers=(), length=None):
        """A complete body, or with a larger `length` the beginning of one."""
        body = body if isinstance(body, bytes) else json.dumps(body).encode()

        async def step(reader, writer):
            lines = [f"HTTP/1.1 {status} x", f"content-type: {kind}", *headers]
            lines.append(f"content-length: {len(body) if length is None else length}")
            writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
            await writer.drain()
            return length is None

        return step

    def embeddings(self, vector, **changes):
        """What vLLM answers to `/v1/embeddings`: `vector(text)` of each text; `changes` to the answer."""

        async def step(reader, writer):
            asked = self.requests[-1].json
            rows = []
            for index, text in enumerate(asked["input"]):
                numbers = struct.pack(f"<{len(vector(text))}f", *vector(text))
                packed = base64.b64encode(numbers).decode()
                whole = asked.get("encoding_format") == "base64"
                rows.append(
                    {
                        "index": index,
                        "object": "embedding",
                        "embedding": packed if whole else list(vector(text)),
                    }
                )
            usage = {"prompt_tokens": 5, "total_tokens": 5, "completion_tokens": 0}
            answer = {"id": "embd-1", "object": "list", "created": 1, "model": asked["model"], "data": rows}
            return await self.whole({**answer, "usage": usage, **changes})(reader, writer)

        return step

    def draining(self):
        """What a draining guard answers."""
        return self.whole(b"", 503, headers=("x-zoran-draining: 1",))

    def stream(self, *chunks, then="end"):
        """An event stream in these network chunks; `then` it ends, is `lost`, or hangs (`hold`)."""

        async def step(reader, writer):
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
                b"transfer-encoding: chunked\r\n\r\n"
            )
            for chunk in chunks:
                writer.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                await writer.drain()
                await asyncio.sleep(0.002)  # so that it arrives as a chunk of its own
            if then == "end":
                writer.write(b"0\r\n\r\n")
                return True
            if then == "hold":
                await self._hung_up(reader)
            return False

        return step

    def flood(self, event):
        """The same event for as long as somebody takes it."""

        async def step(reader, writer):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                while True:
                    writer.write(event)
                    await writer.drain()
            self.aborted.set()
            return False

        return step

    def hang_up(self, sent=b""):
        """Nothing, or these raw bytes, and the end."""

        async def step(reader, writer):
            writer.write(sent)
            return False

        return step

    def hold(self):
        """Nothing until the gateway hangs up."""

        async def step(reader, writer):
            await self._hung_up(reader)
            return False

        return step

    async def _hung_up(self, reader):
        with contextlib.suppress(ConnectionError):
            await reader.read(1)
        self.aborted.set()


class ChatEvents:
    """Whole events, as bytes."""

    USAGE = (
        b'data: {"id":"c","object":"chat.completion.chunk","choices":[],'
        b'"usage":{"prompt_tokens":9,"total_tokens":12,"completion_tokens":3,'
        b'"prompt_tokens_details":{"cached_tokens":4}}}\n\n'
    )
    DONE = b"data: [DONE]\n\n"

    @staticmethod
    def say(text):
        chunk = {"id": "c", "object": "chat.completion.chunk", "model": "m"}
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
        return b"data: " + json.dumps(chunk | {"choices": [choice]}, ensure_ascii=False).encode() + b"\n\n"
