"""A no-op OpenAI back end: the fastest thing a gateway can stand in front of. Knows no gateway.

Answers `/v1/chat/completions`, `/v1/completions`, `/v1/models` and `/health` from bytes made at start. The
prompt says what to do, because a prompt passes unchanged through every gateway: `chunks=64` content chunks
(default 16), one every `interval_ms=20` (default 0: as fast as the loop turns, each chunk its own write).

    python -m benchmarks.serving.noop --port 9000
"""

import argparse
import asyncio
import re
import signal
from typing import ClassVar, cast

import httptools
import uvloop

_MODEL = re.compile(rb'"model"\s*:\s*"([^"\\]{1,128})"')
_STREAM = re.compile(rb'"stream"\s*:\s*true')
_USAGE = re.compile(rb'"include_usage"\s*:\s*true')
_CHUNKS = re.compile(rb"chunks=(\d{1,6})")
_INTERVAL = re.compile(rb"interval_ms=(\d{1,6})")
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: "
_STREAM_HEAD = _HEAD + b"text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
_END = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
_WORDS = b"seventeen and twenty-five are forty-two".split()


def _json(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (
        status,
        len(body),
        body,
    )


def _event(body: bytes) -> bytes:
    """One SSE event as one HTTP chunk."""
    event = b"data: %s\n\n" % body
    return b"%x\r\n%s\r\n" % (len(event), event)


def _chunk(model: bytes, choices: bytes, rest: bytes = b"") -> bytes:
    return _event(
        b'{"id":"chatcmpl-noop","object":"chat.completion.chunk","created":1,"model":"%s","choices":[%s]%s}'
        % (model, choices, rest)
    )


def _usage(chunks: int) -> bytes:
    return b',"usage":{"prompt_tokens":8,"completion_tokens":%d,"total_tokens":%d}' % (chunks, chunks + 8)


def stream_chunks(model: bytes, chunks: int, with_usage: bool) -> list[bytes]:
    """The HTTP chunks of one streamed answer: role, `chunks` × content, finish, usage if asked, end."""
    delta = b'{"index":0,"delta":%s,"logprobs":null,"finish_reason":%s}'
    words = [
        _chunk(model, delta % (b'{"content":" %s"}' % word, b"null"), b',"service_tier":null')
        for word in _WORDS
    ]
    answer = [_chunk(model, delta % (b'{"role":"assistant","content":""}', b"null"))]
    answer += [words[i % len(words)] for i in range(chunks)]
    answer.append(_chunk(model, delta % (b"{}", b'"stop"')))
    if with_usage:
        answer.append(_chunk(model, b"", _usage(chunks)))
    return [*answer, _END]


def completion(model: bytes, chunks: int) -> bytes:
    """A whole HTTP response with `chunks` words of content."""
    content = b" ".join(_WORDS[i % len(_WORDS)] for i in range(chunks))
    return _json(
        b'{"id":"chatcmpl-noop","object":"chat.completion","created":1,"model":"%s","choices":[{"index":0,'
        b'"message":{"role":"assistant","content":"%s"},"logprobs":null,"finish_reason":"stop"}]%s}'
        % (model, content, _usage(chunks))
    )


class NoopServer(asyncio.Protocol):
    """One keep-alive connection; httptools parses, everything else is a table of bytes."""

    # Answers by (model, chunks, stream, usage); clients of one benchmark ask for a handful.
    _answers: ClassVar[dict[tuple[bytes, int, bool, bool], list[bytes]]] = {}

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.Handle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of their own class.
        self._transport = cast(asyncio.Transport, transport)
        self._parser = httptools.HttpRequestParser(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def on_message_begin(self) -> None:
        self._url = b""
        self._body = b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        path = self._url.partition(b"?")[0]
        if path.endswith(b"/completions"):
            self._complete()
        elif path.endswith(b"/models"):
            model = b'{"id":"noop","object":"model","created":1,"owned_by":"noop"}'
            self._transport.write(_json(b'{"object":"list","data":[%s]}' % model))
        elif path == b"/health":
            self._transport.write(_json(b"{}"))
        else:
            self._transport.write(_json(b'{"error":{"message":"no such route"}}', b"404 Not Found"))

    def _complete(self) -> None:
        body = self._body
        model = match[1] if (match := _MODEL.search(body)) else b"noop"
        chunks = int(match[1]) if (match := _CHUNKS.search(body)) else 16
        key = (model, chunks, bool(_STREAM.search(body)), bool(_USAGE.search(body)))
        answer = self._answers.get(key)
        if answer is None:
            answer = stream_chunks(model, chunks, key[3]) if key[2] else [completion(model, chunks)]
            if len(self._answers) < 64:
                self._answers[key] = answer
        if not key[2]:
            self._transport.write(answer[0])
            return
        interval_s = int(match[1]) / 1000 if (match := _INTERVAL.search(body)) else 0.0
        self._transport.write(_STREAM_HEAD)
        self._send(answer, 0, interval_s)

    def _send(self, answer: list[bytes], at: int, interval_s: float) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(answer[at])
        if at + 1 == len(answer):
            self._timer = None
        elif interval_s:
            self._timer = self._loop.call_later(interval_s, self._send, answer, at + 1, interval_s)
        else:
            self._timer = self._loop.call_soon(self._send, answer, at + 1, 0.0)


async def serve(host: str, port: int) -> asyncio.Server:
    """Listen; port 0 takes a free one."""
    return await asyncio.get_running_loop().create_server(NoopServer, host, port, backlog=2048)


async def _main(host: str, port: int) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    server = await serve(host, port)
    await stopped.wait()
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    uvloop.run(_main(arguments.host, arguments.port))
