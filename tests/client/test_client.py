"""Both clients against a real server; a blocking shell lets the asynchronous one share the tests."""

import asyncio
import random
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from tests.client.chat_server import DONE, FINISH, delta, error_reply, event, json_reply, stream_reply
from zoran_ray.client import AsyncClient, Client, Delta, RemoteModel, Usage
from zoran_ray.errors import (
    ConfigError,
    DeadlineExceeded,
    ModelNotFound,
    NoReplica,
    RateLimited,
    Unauthenticated,
    Unreachable,
    UpstreamError,
)


class Blocking:
    """The asynchronous client, driven by its own loop."""

    def __init__(
        self,
        url: str,
        key: str | None = None,
        sleep: Callable[[float], None] = lambda _: None,
        **options: Any,
    ):
        async def nap(seconds: float) -> None:
            sleep(seconds)

        self._runner = asyncio.Runner()
        self._client = self._run(self._made(url, key, nap, options))

    @staticmethod
    async def _made(
        url: str, key: str | None, nap: Callable[[float], Awaitable[None]], options: Any
    ) -> AsyncClient:
        return AsyncClient(url, key, sleep=nap, **options)

    def _run(self, work: Any) -> Any:
        return self._runner.run(work)

    def models(self) -> Any:
        return self._run(self._client.models())

    def chat(self, *args: Any, **options: Any) -> Any:
        answer = self._run(self._client.chat(*args, **options))
        return self._pieces(answer) if options.get("stream") else answer

    def _pieces(self, stream: Any) -> Iterator[Delta]:
        try:
            while True:
                yield self._run(anext(stream))
        except StopAsyncIteration:
            return
        finally:
            self._run(stream.aclose())

    def close(self) -> None:
        self._run(self._client.close())
        self._runner.close()


@pytest.fixture(params=["blocking", "asyncio"])
def connect(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    made: list[Any] = []

    def connect(url: str, key: str | None = None, **options: Any) -> Any:
        options = {"sleep": lambda _: None, "rng": random.Random(1), **options}
        made.append(
            Client(url, key, **options) if request.param == "blocking" else Blocking(url, key, **options)
        )
        return made[-1]

    yield connect
    for client in made:
        client.close()


def test_a_question_gets_an_answer(chat_server: Any, connect: Any) -> None:
    answer = connect(chat_server.url, "zk-1").chat("What is 17+25?", temperature=0)
    assert str(answer) == "42"
    assert (answer.reasoning, answer.finish_reason, answer.usage) == ("17+25", "stop", Usage(7, 2))
    path, headers, body = chat_server.requests[-1]
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == "Bearer zk-1"
    assert body == {
        "model": "local/pocket",
        "messages": [{"role": "user", "content": "What is 17+25?"}],
        "temperature": 0,
    }


def test_the_first_model_is_asked_for_once(chat_server: Any, connect: Any) -> None:
    client = connect(chat_server.url + "/v1/")
    client.chat("a")
    client.chat("b")
    client.chat("c", "other")
    assert [path for path, _, _ in chat_server.requests].count("/v1/models") == 1
    assert chat_server.requests[-1][2]["model"] == "other"


def test_models_are_listed(chat_server: Any, connect: Any) -> None:
    assert connect(chat_server.url).models() == (RemoteModel("local/pocket", "zoran", 5),)


def test_no_model_at_all_is_said(chat_server: Any, connect: Any) -> None:
    chat_server.replies.append(json_reply({"data": []}))
    with pytest.raises(ModelNotFound, match="no model"):
        connect(chat_server.url).chat("x")


def test_an_answer_comes_in_pieces(chat_server: Any, connect: Any) -> None:
    pieces = list(connect(chat_server.url).chat("x", "m", stream=True))
    assert "".join(piece.text for piece in pieces) == "42"
    assert pieces[-1].usage == Usage(7, 2)
    assert chat_server.requests[-1][2]["stream_options"] == {"include_usage": True}


def test_reasoning_comes_apart_from_the_text(chat_server: Any, connect: Any) -> None:
    chat_server.replies.append(
        stream_reply(delta(reasoning="a"), delta(reasoning_content="b"), delta(content="c"), FINISH, DONE)
    )
    pieces = list(connect(chat_server.url).chat("x", "m", stream=True))
    assert ("".join(p.reasoning for p in pieces), "".join(p.text for p in pieces)) == ("ab", "c")


def test_leaving_the_stream_hangs_up(chat_server: Any, connect: Any) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield delta(content="x" * 1000)

    chat_server.replies.append(stream_reply())
    chat_server.replies[0].chunks = endless()
    stream = connect(chat_server.url).chat("x", "m", stream=True)
    next(stream)
    stream.close()
    assert chat_server.hung_up.wait(20)


def test_a_stream_that_breaks_off_is_an_error(chat_server: Any, connect: Any) -> None:
    chat_server.replies.append(stream_reply(delta(content="4")))
    stream = connect(chat_server.url).chat("x", "m", stream=True)
    assert next(stream).text == "4"
    with pytest.raises(UpstreamError, match="broke off"):
        list(stream)


def test_an_error_in_the_stream_keeps_its_kind(chat_server: Any, connect: Any) -> None:
    chat_server.replies.append(
        stream_reply(delta(content="4"), event({"error": {"message": "gone", "code": "no_replica"}}))
    )
    stream = connect(chat_server.url).chat("x", "m", stream=True)
    next(stream)
    with pytest.raises(NoReplica, match="gone"):
        next(stream)


@pytest.mark.parametrize("event_text", ["not json", "[]", '"x"', '{"object": "?"}'])
def test_nonsense_in_the_stream_is_an_error(chat_server: Any, connect: Any, event_text: str) -> None:
    chat_server.replies.append(stream_reply(event(event_text)))
    with pytest.raises(UpstreamError):
        list(connect(chat_server.url).chat("x", "m", stream=True))


@pytest.mark.parametrize("reply", [json_reply([]), json_reply({"choices": []}), stream_reply(b"<html>")])
def test_nonsense_for_an_answer_is_an_error(chat_server: Any, connect: Any, reply: Any) -> None:
    chat_server.replies.append(reply)
    with pytest.raises(UpstreamError):
        connect(chat_server.url).chat("x", "m")


def test_a_wrong_key_is_said_at_once(chat_server: Any, connect: Any) -> None:
    chat_server.replies.append(error_reply(401, "invalid_api_key"))
    with pytest.raises(Unauthenticated, match="ZORAN_API_KEY"):
        connect(chat_server.url).chat("x", "m")
    assert len(chat_server.requests) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_busy_server_is_asked_again_when_it_says(chat_server: Any, connect: Any, stream: bool) -> None:
    waits: list[float] = []
    chat_server.replies += [
        error_reply(429, "rate_limit_exceeded", retry_after="3"),
        error_reply(503, "overloaded"),
    ]
    answer = connect(chat_server.url, sleep=waits.append).chat("x", "m", stream=stream)
    assert "".join(piece.text for piece in answer) if stream else str(answer) == "42"
    assert waits[0] == 3.0
    assert 0.1 <= waits[1] <= 0.6


def test_a_wait_past_the_deadline_is_not_begun(chat_server: Any, connect: Any) -> None:
    waits: list[float] = []
    chat_server.replies.append(error_reply(429, "rate_limit_exceeded", retry_after="30"))
    with pytest.raises(RateLimited) as caught:
        connect(chat_server.url, sleep=waits.append, timeout_s=20.0).chat("x", "m")
    assert caught.value.retry_after_s == 30.0
    assert waits == []


def test_attempts_end(chat_server: Any, connect: Any) -> None:
    chat_server.replies += [error_reply(503, "no_replica") for _ in range(3)]
    with pytest.raises(NoReplica):
        connect(chat_server.url).chat("x", "m")
    assert len(chat_server.requests) == 3


def test_nobody_there(connect: Any) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound but not listening: refused
        waits: list[float] = []
        with pytest.raises(Unreachable, match="zoran serve"):
            connect(f"http://127.0.0.1:{reserved.getsockname()[1]}", sleep=waits.append).models()
        assert len(waits) == 2


def test_a_silent_server_is_left(chat_server: Any, connect: Any) -> None:
    release = threading.Event()
    chat_server.replies.append(stream_reply(hold=release))
    with pytest.raises(DeadlineExceeded, match="silent"):
        list(connect(chat_server.url, timeout_s=0.2).chat("x", "m", stream=True))
    release.set()


@pytest.mark.parametrize("url", ["", "localhost:8080", "ftp://x", "http://", "http://[", "http://a:b"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ConfigError, match="base URL"):
        Client(url)


def test_a_key_that_cannot_be_one() -> None:
    with pytest.raises(ConfigError) as caught:
        Client("http://127.0.0.1:1", "zk-\nsecret")
    assert "secret" not in str(caught.value)


def test_no_proxy_sees_loopback(chat_server: Any, connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert connect(chat_server.url).models()
