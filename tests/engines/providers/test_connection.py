"""The pool and its replies against a real server; what is said there is of no interest here."""

import asyncio
import gc
import logging
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.engines.providers.asking import KEY
from tests.engines.providers.fake_provider import (
    FakeProvider,
    flood,
    hold,
    html,
    reset_at_once,
    says,
    stream,
)
from tests.engines.providers.speeches import Said, Speech
from zoran_ray.api_key import ApiKey
from zoran_ray.engines.providers import reply
from zoran_ray.engines.providers.connection import Connection, KeyHeader, PoolLimits
from zoran_ray.engines.providers.reply import Reply
from zoran_ray.errors import (
    ConfigError,
    DeadlineExceeded,
    InvalidRequest,
    ProviderBusy,
    ProviderRefused,
    UpstreamError,
)

PATIENCE_S = 10.0
JSON = "application/json"
GOOD = says(Said({"answer": 42}))
EVENTS = b"data: 1\n\n", b"data: 2\n\n"


class Stage:
    """One provider, one connection to it, and a clock that only a test moves."""

    def __init__(self, provider: FakeProvider) -> None:
        self.now = 1000.0
        self.provider = provider
        self.connection = self.connect()

    def connect(self, **options: Any) -> Connection:
        options = {"base_url": self.provider.url, "key": ApiKey(KEY, "K"), **options}
        self.connection = Connection("acme", options.pop("base_url"), clock=lambda: self.now, **options)
        return self.connection

    async def open(self, *, streamed: bool = False, seconds: float = 60.0) -> Reply:
        return await self.connection.open(
            "/chat", {"a": "€"}, request_id="req-1", deadline=self.now + seconds, streamed=streamed
        )

    async def ask(self) -> bytes:
        opened = await self.open()
        try:
            return await opened.whole()
        finally:
            await opened.close()

    async def hung_up(self) -> None:
        """The provider notices that nobody listens any more."""
        await asyncio.wait_for(self.provider.aborted.wait(), PATIENCE_S)

    @property
    def headers(self) -> dict[str, str]:
        """Of the last request."""
        return {name.lower(): value for name, value in self.provider.requests[-1].headers.items()}


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with FakeProvider(Speech()) as provider:
        stage = Stage(provider)
        yield stage
        await stage.connection.close()
    gc.collect()  # so that anything left open is blamed on this test


async def test_what_is_sent_and_what_comes_back(stage: Stage) -> None:
    stage.connect(headers={"x-version": "2"}, request_id_header="x-client-request-id")
    stage.provider.will(GOOD)
    assert await stage.ask() == b'{"answer": 42}'
    assert stage.provider.requests[0].path == "/v1/chat"
    assert stage.provider.sent == {"a": "€"}
    expected = {
        "authorization": f"Bearer {KEY}",
        "x-client-request-id": "req-1",
        "x-version": "2",
        "accept-encoding": "identity",
        "content-type": JSON,
    }
    assert expected.items() <= stage.headers.items()


async def test_the_key_goes_where_the_provider_wants_it(stage: Stage) -> None:
    stage.connect(key_header=KeyHeader("x-api-key"))
    stage.provider.will(GOOD)
    await stage.ask()
    assert stage.headers["x-api-key"] == KEY
    assert "authorization" not in stage.headers


async def test_no_key_is_no_header(stage: Stage) -> None:
    stage.connect(key=None)
    stage.provider.will(GOOD)
    await stage.ask()
    assert "authorization" not in stage.headers


async def test_a_connection_serves_the_next_request_too(stage: Stage) -> None:
    stage.provider.will(GOOD, says(Said({}, 429)), GOOD)
    await stage.ask()
    with pytest.raises(ProviderBusy):
        await stage.ask()
    await stage.ask()
    assert len(set(stage.provider.connections)) == 1


async def test_a_stream_that_said_its_last_word_gives_its_connection_back(stage: Stage) -> None:
    stage.provider.will(stream(*EVENTS), GOOD)
    opened = await stage.open(streamed=True)
    assert [(await opened.event()) is not None for _ in EVENTS] == [True, True]
    await opened.close(finished=True)
    await stage.ask()
    assert len(set(stage.provider.connections)) == 1


async def test_a_stream_that_is_left_is_cut(stage: Stage) -> None:
    stage.provider.will(stream(*EVENTS, then="hold"), GOOD)
    opened = await stage.open(streamed=True)
    await opened.event()
    await opened.close()
    await stage.hung_up()
    await stage.ask()
    assert len(set(stage.provider.connections)) == 2


async def test_a_stream_that_stays_open_after_its_last_word_is_cut(stage: Stage) -> None:
    stage.provider.will(stream(*EVENTS, then="hold"))
    opened = await stage.open(streamed=True)
    for _ in EVENTS:
        await opened.event()
    await opened.close(finished=True)
    await stage.hung_up()


async def test_closing_twice_is_closing_once(stage: Stage) -> None:
    stage.provider.will(GOOD)
    opened = await stage.open()
    await opened.close()
    await opened.close()


async def test_it_opens_again_after_it_was_closed(stage: Stage) -> None:
    stage.provider.will(GOOD, GOOD)
    await stage.ask()
    await stage.connection.close()
    await stage.connection.close()
    assert await stage.ask() == b'{"answer": 42}'


# -- what is not done ----------------------------------------------------------------------------


async def test_cookies_are_not_kept(stage: Stage) -> None:
    stage.provider.will(says(Said({}, headers={"set-cookie": "__cf_bm=x; Path=/"})), GOOD)
    await stage.ask()
    await stage.ask()
    assert "cookie" not in stage.headers


async def test_redirects_are_not_followed(stage: Stage) -> None:
    stage.provider.will(says(Said(b"", 307, {"location": stage.provider.url})), GOOD)
    with pytest.raises(ProviderRefused, match="307"):
        await stage.ask()
    assert len(stage.provider.requests) == 1


async def test_the_environments_proxies_are_not_used(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    stage.provider.will(GOOD)
    assert await stage.ask() == b'{"answer": 42}'


async def test_a_proxy_that_is_asked_for_is_used(stage: Stage) -> None:
    stage.connect(base_url="http://acme.invalid/v1", proxy=stage.provider.url.removesuffix("/v1"))
    stage.provider.will(GOOD)
    assert await stage.ask() == b'{"answer": 42}'
    assert stage.headers["host"] == "acme.invalid"


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "acme",
        "ftp://acme/v1",
        "http://",
        "https://u:pw@acme/v1",
        "http://acme/v1?key=x",
        "http://a/#b",
        "http://[x",
    ],
)
def test_an_address_must_be_plain(base_url: str) -> None:
    for options in ({"base_url": base_url}, {"base_url": "http://acme/v1", "proxy": base_url or "acme"}):
        with pytest.raises(ConfigError, match="plain address") as caught:
            Connection("acme", **options)
        assert "pw" not in caught.value.message


# -- deadline ------------------------------------------------------------------------------------


async def test_a_request_without_time_is_not_sent(stage: Stage) -> None:
    with pytest.raises(DeadlineExceeded):
        await stage.open(seconds=0)
    assert not stage.provider.requests


async def test_no_head_before_the_deadline(stage: Stage) -> None:
    stage.provider.will(hold)
    with pytest.raises(DeadlineExceeded, match="acme"):
        await stage.open(seconds=0.1)


@pytest.mark.parametrize("streamed", [True, False])
async def test_no_first_byte_before_the_deadline(stage: Stage, streamed: bool) -> None:
    stage.provider.will(stream(then="hold", kind="text/event-stream" if streamed else JSON))
    with pytest.raises(DeadlineExceeded):
        await stage.open(streamed=streamed, seconds=0.2)


async def test_the_deadline_is_the_whole_requests(stage: Stage) -> None:
    stage.provider.will(stream(*EVENTS, then="hold"))
    opened = await stage.open(streamed=True)
    for _ in EVENTS:
        await opened.event()
    stage.now += 59.9
    with pytest.raises(DeadlineExceeded):
        await opened.event()
    await opened.close()
    await stage.hung_up()


async def test_a_hang_in_the_middle_of_a_whole_answer(stage: Stage) -> None:
    stage.provider.will(stream(b'{"answer":', then="hold", kind=JSON))
    opened = await stage.open()
    stage.now += 59.9
    with pytest.raises(DeadlineExceeded):
        await opened.whole()
    await opened.close()


# -- lost connections ----------------------------------------------------------------------------


async def test_nobody_listens(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    stage.connect(base_url=f"http://127.0.0.1:{port}/v1")
    with pytest.raises(UpstreamError, match="cannot be reached"):
        await stage.open()


async def test_a_server_that_does_not_speak_tls(stage: Stage) -> None:
    stage.connect(base_url=stage.provider.url.replace("http:", "https:"))
    with pytest.raises(UpstreamError, match="cannot be reached"):
        await stage.open()
    assert not stage.provider.requests


async def test_a_connection_reset_before_the_head(stage: Stage) -> None:
    stage.provider.will(reset_at_once)
    with pytest.raises(UpstreamError, match="broke off"):
        await stage.open()


async def test_a_whole_answer_that_breaks_off(stage: Stage) -> None:
    stage.provider.will(stream(b'{"answer":', then="cut", kind=JSON))
    with pytest.raises(UpstreamError, match="broke off"):
        await stage.ask()


async def test_a_refusal_that_breaks_off_is_still_one(stage: Stage) -> None:
    stage.provider.will(stream(b'{"error":', then="cut", kind=JSON, status=429))
    with pytest.raises(ProviderBusy):
        await stage.ask()


async def test_a_long_refusal_is_read_in_part(stage: Stage) -> None:
    stage.provider.will(says(Said(b"x" * 200_000, 429, {"retry-after": "3"})))
    with pytest.raises(ProviderBusy) as caught:
        await stage.ask()
    assert caught.value.retry_after_s == 3


async def test_no_connection_is_free(stage: Stage) -> None:
    stage.connect(limits=PoolLimits(connections=1, connect_timeout_s=0.1))
    stage.provider.will(stream(*EVENTS, then="hold"), GOOD)
    opened = await stage.open(streamed=True)
    with pytest.raises(ProviderBusy, match="in use") as caught:
        await stage.open()
    assert caught.value.retry_after_s == 1.0
    await opened.close()
    assert await stage.ask() == b'{"answer": 42}'


# -- not what was asked for ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "step",
    [
        html(),
        says(Said({"a": 1}, headers={"content-type": "text/plain"})),
        says(Said(b"", headers={"content-type": JSON})),
        says(Said(b"", 204)),
        says(Said({"a": 1}, headers={"content-encoding": "zstd"})),
        stream(*EVENTS),
    ],
)
async def test_something_else_than_json(stage: Stage, step: Any) -> None:
    stage.provider.will(step)
    with pytest.raises(UpstreamError):
        await stage.open()


@pytest.mark.parametrize("step", [html(), GOOD, stream(), stream(*EVENTS, kind="text/plain")])
async def test_something_else_than_events(stage: Stage, step: Any) -> None:
    stage.provider.will(step)
    with pytest.raises(UpstreamError):
        await stage.open(streamed=True)


async def test_an_error_object_where_events_were_promised(stage: Stage) -> None:
    stage.provider.will(says(Said({"error": {"message": "x", "code": 429}})))
    with pytest.raises(ProviderBusy):
        await stage.open(streamed=True)


async def test_a_whole_answer_without_end(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply, "MAX_ANSWER_BYTES", 100_000)
    stage.provider.will(flood(b" " * 10_000, JSON))
    with pytest.raises(UpstreamError, match="more than 100000 bytes"):
        await stage.ask()
    await stage.hung_up()


async def test_an_event_without_end(stage: Stage) -> None:
    stage.provider.will(flood(b"data: " + b"x" * 100_000))
    opened = await stage.open(streamed=True)
    with pytest.raises(UpstreamError, match="does not end"):
        await opened.event()
    await opened.close()
    await stage.hung_up()


# -- cancellation --------------------------------------------------------------------------------


async def test_a_cancelled_request_hangs_up(stage: Stage) -> None:
    stage.provider.will(hold)
    asking = asyncio.create_task(stage.open())
    await asyncio.wait_for(stage.provider.asked.wait(), PATIENCE_S)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await stage.hung_up()


async def test_a_cancelled_reader_hangs_up(stage: Stage) -> None:
    stage.provider.will(stream(EVENTS[0], then="hold"))
    opened = await stage.open(streamed=True)
    await opened.event()
    reading = asyncio.create_task(opened.event())
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await opened.close()
    await stage.hung_up()


async def test_closing_is_done_even_if_it_is_cancelled(stage: Stage) -> None:
    stage.provider.will(stream(EVENTS[0], then="hold"))
    opened = await stage.open(streamed=True)
    closing = asyncio.create_task(opened.close(finished=True))
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await stage.hung_up()


# -- silence, GET, logs ---------------------------------------------------------------------------


async def test_a_pause_may_be_too_long_although_there_is_time(stage: Stage) -> None:
    stage.provider.will(stream(EVENTS[0], then="hold"))
    opened = await stage.connection.open(
        "/chat", {}, request_id="r", deadline=stage.now + 60, streamed=True, stall_s=0.05
    )
    assert await opened.event() is not None
    with pytest.raises(DeadlineExceeded, match=r"said nothing for 0\.05 s"):
        await opened.event()
    await opened.close()
    await stage.hung_up()


async def test_without_a_body_it_asks_with_get(stage: Stage) -> None:
    stage.provider.will(GOOD)
    opened = await stage.connection.open(
        "/m", None, request_id="r", deadline=stage.now + 60, streamed=False
    )
    assert await opened.whole() == b'{"answer": 42}'
    await opened.close()
    assert (stage.provider.requests[0].method, stage.provider.requests[0].body) == ("GET", b"")


async def test_a_body_that_cannot_be_written_is_the_callers(stage: Stage) -> None:
    nested: Any = []
    for _ in range(300):
        nested = [nested]
    with pytest.raises(InvalidRequest, match="nested too deep"):
        await stage.connection.open(
            "/chat", {"a": nested}, request_id="r", deadline=stage.now + 60, streamed=False
        )
    assert not stage.provider.requests


def test_importing_changes_no_logger() -> None:
    asked = (
        "import logging, zoran_ray.engines.providers.connection;"
        "print([logging.getLogger(name).level for name in ('httpcore', 'httpx')])"
    )
    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, check=True, timeout=60)
    assert said.stdout.strip() == b"[0, 0]"


async def test_logs_are_hushed_when_a_pool_opens(stage: Stage) -> None:
    loggers = [logging.getLogger(name) for name in ("httpcore", "httpx")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    stage.provider.will(GOOD)
    await stage.ask()
    assert [logger.level for logger in loggers] == [logging.WARNING] * 2
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(max(level, logging.WARNING))
