"""Clients that leave, and clients that do not read: generation stops and the account is kept.

Under Serve a client's leaving comes as cancellation of the application's task, so that is what is done
here to the application itself.
"""

import asyncio
import contextlib
import hashlib
import json
import socket

import pytest

from tests.serve_apps.fake_replica import ChatEvents as sse
from zoran_ray.access.leases import Ask
from zoran_ray.messages import KeyInfo, KeySnapshot

CHAT = "/v1/chat/completions"
LEFT = {"endpoint": CHAT, "model": "local/m", "code": "499", "class": "4xx"}


class Call:
    """The gateway's application called as Serve calls it."""

    def __init__(self, stack, **fields):
        body = {"model": "m", "messages": [{"role": "user", "content": "2+2"}], **fields}
        self._body = json.dumps(body).encode()
        self.sent = []
        self.streaming = asyncio.Event()
        headers = [(b"authorization", b"Bearer zk-good")]
        scope = {"type": "http", "method": "POST", "path": CHAT, "headers": headers}
        self.task = asyncio.create_task(stack.gateway(scope, self._receive, self._send))

    async def _receive(self):
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def _send(self, message):
        self.sent.append(message)
        if message.get("body"):
            self.streaming.set()

    async def leave(self):
        self.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self.task


async def test_leaving_a_stream_stops_the_replica_and_keeps_the_account(stack):
    replica = await stack.replica()
    replica.will(replica.stream(sse.say("4"), then="hold"))
    digest = hashlib.sha256(b"zk-good").hexdigest()
    stack.door.update(KeySnapshot(1, (KeyInfo("k1", "me", digest, tokens_per_min=1000),)))
    call = Call(stack, stream=True, max_tokens=200)
    await call.streaming.wait()
    await call.leave()
    await replica.aborted.wait()
    assert stack.counted("zoran_requests_total", **LEFT) == 1
    assert stack.counted("zoran_client_disconnects_total", model="local/m") == 1
    assert stack.counted("zoran_tokens_total", kind="output", model="local/m") == 1
    assert stack.counted("zoran_relay_errors_total", kind="upstream_error") == 0
    await stack.limits.flush()
    (grant,) = stack.ledger.lease([Ask("k1", "tokens", 1, 1, 10**9)])
    # The engine has not counted the prompt: four bytes are taken for a token.
    assert 10**9 - grant.remaining - 1 == 1 + len(call._body) // 4


async def test_leaving_before_the_first_byte(stack):
    replica = await stack.replica()
    replica.will(replica.hold())
    call = Call(stack)
    await replica.asked.wait()
    await call.leave()
    await replica.aborted.wait()
    assert not call.sent
    assert stack.counted("zoran_requests_total", **LEFT) == 1


async def test_leaving_the_queue(stack):
    call = Call(stack)
    while not stack.woken:
        await asyncio.sleep(0)
    assert stack.waiting.waiting() == 1
    await call.leave()
    assert stack.waiting.waiting() == 0
    assert stack.counted("zoran_requests_total", **LEFT) == 1


async def test_leaving_in_the_middle_of_the_body(stack):
    _, writer = await asyncio.open_connection("127.0.0.1", stack.port)
    writer.write(f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{{".encode())
    while not stack.uvicorn.tasks:
        await asyncio.sleep(0)
    writer.close()
    await asyncio.gather(*stack.uvicorn.tasks)
    labels = {"endpoint": CHAT, "model": "other", "code": "400", "class": "4xx"}
    assert stack.counted("zoran_requests_total", **labels) == 1


async def test_a_client_that_does_not_read_is_cut(make_stack, monkeypatch):
    monkeypatch.setattr("serve_apps.gateway.handle._SWEEP_S", 0.02)
    stack = await make_stack(write_timeout_s=0.05)
    replica = await stack.replica()
    replica.will(replica.flood(sse.say("4" * 60_000)))
    sweeping = asyncio.create_task(stack.gateway.sweep())
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", stack.port))
        body = b'{"model":"m","stream":true,"messages":[{}]}'
        head = b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (CHAT.encode(), len(body))
        await asyncio.get_running_loop().sock_sendall(client, head + body)
        await replica.aborted.wait()
    sweeping.cancel()
    await asyncio.gather(*stack.uvicorn.tasks, return_exceptions=True)
    assert stack.counted("zoran_requests_total", **LEFT) == 1


async def test_a_client_that_reads_slowly_is_not(make_stack, monkeypatch):
    monkeypatch.setattr("serve_apps.gateway.handle._SWEEP_S", 0.005)
    stack = await make_stack(write_timeout_s=60)
    replica = await stack.replica()
    replica.will(replica.stream(*[sse.say("4")] * 10, sse.DONE))
    sweeping = asyncio.create_task(stack.gateway.sweep())
    assert (await stack.chat(stream=True)).body.count(b"data:") == 11
    sweeping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sweeping


async def test_websockets_are_closed(stack):
    sent = []

    async def send(message):
        sent.append(message)

    await stack.gateway({"type": "websocket", "path": CHAT}, None, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]
