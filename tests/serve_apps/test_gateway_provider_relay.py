"""Requests to providers' models: relayed, tried again, broken off, cancelled, and what each did use."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from email.utils import formatdate
from typing import Any

import pytest

from serve_apps.gateway.provider_relay import relay, relay_chain
from tests.engines.providers.fake_provider import (
    FakeProvider,
    hold,
    html,
    reset_at_once,
    says,
    stream,
)
from tests.engines.providers.speeches import CHAT, COUNTS, TEXT, Said, Speech, error, event
from tests.serve_apps.arms_stage import CANARY, PATIENCE_S, PROMPT, QUICK, Client, Stage
from zoran_ray.errors import (
    DeadlineExceeded,
    InvalidRequest,
    ProviderBusy,
    ProviderRefused,
    Unavailable,
    UpstreamError,
)
from zoran_ray.telemetry.logs import JsonFormatter
from zoran_ray.wire import Endpoint, Usage

SPEECH = Speech()
DELTA = event(SPEECH.piece(CHAT, "Hello"))
MORE = event(SPEECH.piece(CHAT, " dear world, how are you today?"))
ECHO = f"Incorrect key {CANARY} for {PROMPT}"


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """Afterwards the key was sent and is in nothing that was written, and no place is held."""
    lines: list[str] = []

    class Everything(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{JsonFormatter().format(record)} {vars(record)!r}")

    root, handler = logging.getLogger(), Everything()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    async with FakeProvider(SPEECH, CANARY) as first, FakeProvider(SPEECH, CANARY) as second:
        stage = Stage(first, second)
        yield stage
        shown = [repr(stage.arms), repr(vars(stage.arms)), repr(stage.arms.rows()), *lines]
        for client in stage.clients:
            shown += [repr(client.account), repr(client.heads), repr(client.pieces), repr(client.error)]
        rows = stage.arms.rows()
        assert PROMPT not in repr(rows)
        await stage.arms.close()
    root.removeHandler(handler)
    root.setLevel(level)
    asked = [*first.requests, *second.requests]
    assert all(CANARY in seen.headers["authorization"] for seen in asked)
    assert not [text for text in shown if CANARY[8:] in text]
    assert not [line for line in lines if PROMPT in line]
    assert all(row["held"] == row["queued"] == 0 for row in rows)


def tokens(counts: dict[str, Any]) -> tuple[int, int]:
    return counts["prompt_tokens"], counts["completion_tokens"]


# -- good answers --------------------------------------------------------------------------------


async def test_a_whole_answer(stage: Stage) -> None:
    client = await stage.ask()
    assert client.status == 200
    assert dict(client.heads[0]["headers"])[b"content-type"] == b"application/json"
    assert client.json["choices"][0]["message"]["content"] == TEXT
    assert client.account.answer == client.json
    assert client.account.usage == Usage(19, 5, 8)
    assert client.account.tries == 1
    assert stage.row()["results"] == 1
    assert stage.first.sent["model"] == SPEECH.model


@pytest.mark.parametrize("asked_for", [True, False])
async def test_a_stream_with_usage_for_whoever_asked(stage: Stage, asked_for: bool) -> None:
    options = {"stream_options": {"include_usage": True}} if asked_for else {}
    client = await stage.ask(stream=True, **options)
    assert client.status == 200
    told = client.events
    assert "".join(c["delta"].get("content", "") for each in told for c in each["choices"]) == TEXT
    assert [each["usage"] for each in told if each.get("usage")] == ([SPEECH.usage] if asked_for else [])
    assert client.account.usage == Usage(19, 5, 8)
    assert stage.first.sent["stream_options"]["include_usage"] is True


async def test_embeddings(stage: Stage) -> None:
    client = await stage.ask(endpoint=Endpoint.EMBEDDINGS, input="Hi")
    assert client.json["data"][0]["embedding"] == [0.1, -0.2]
    assert client.account.usage == Usage(8, 0)


async def test_without_a_count_tokens_are_estimated(stage: Stage) -> None:
    whole = SPEECH.chat()
    del whole["usage"]
    stage.first.will(says(Said(whole)))
    client = await stage.ask()
    estimated = -(-len(TEXT.encode()) // 4)
    assert client.account.usage == Usage(client.body.prompt_tokens, estimated)


# -- faults before the first byte: the next one is asked -----------------------------------------

SOON = formatdate(time.time() + 3600, usegmt=True)
FAULTS: dict[str, tuple[Any, type[Exception]]] = {
    "401": (says(SPEECH.bad_key(CANARY)), ProviderRefused),
    "404": (says(SPEECH.unknown_model("x")), ProviderRefused),
    "429 seconds": (says(Said(error(ECHO, "x"), 429, {"retry-after": "3600"})), ProviderBusy),
    "429 date": (says(Said(error(ECHO, "x"), 429, {"retry-after": SOON})), ProviderBusy),
    "500": (says(Said(error(ECHO, "x"), 500)), UpstreamError),
    "529": (says(Said(error(ECHO, "x"), 529)), ProviderBusy),
    "hang": (hold, DeadlineExceeded),
    "slow first event": (stream(b": wait\n\n", then="hold"), DeadlineExceeded),
    "reset": (reset_at_once, UpstreamError),
    "html": (html(), UpstreamError),
    "malformed": (stream(b"data: {" + ECHO.encode() + b"\n\n"), UpstreamError),
    "not json": (says(Said(ECHO.encode())), UpstreamError),
    "no choices": (says(Said(SPEECH.chat() | {"choices": []})), UpstreamError),
    "error in the stream": (stream(event(error(ECHO, "x", None, 500))), UpstreamError),
}
LATE = {"hang", "slow first event"}
SLOW_JSON = stream(b" ", then="hold", kind="application/json")


def planned(stage: Stage, fault: str, streamed: bool) -> type[Exception]:
    """Lets the first provider answer everything with this fault; the error it means."""
    step, kind = FAULTS[fault]
    stage.offer(timeout_s=0.05 if fault in LATE else 20)
    stage.first.will(*[SLOW_JSON if fault == "slow first event" and not streamed else step] * 9)
    return kind


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_is_answered_by_the_next_arm(stage: Stage, fault: str, streamed: bool) -> None:
    kind = planned(stage, fault, streamed)
    client = await stage.ask(stream=streamed)
    assert client.status == 200
    assert TEXT[-5:] in client.answer.decode()
    assert len(client.heads) == 1
    assert client.account.usage == Usage(19, 5, 8)
    # What a wait may mend is tried again; a wrong key, a hang and a wish for an hour are not.
    again = kind is UpstreamError or fault == "529"
    assert len(stage.first.requests) == (3 if again else 1)
    assert client.account.tries == len(stage.first.requests) + len(stage.second.requests)
    assert stage.row()["failures"] == len(stage.first.requests) or not stage.arms.usable("acme/a")


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("fault", FAULTS)
async def test_alone_it_is_a_typed_error(stage: Stage, fault: str, streamed: bool) -> None:
    kind = planned(stage, fault, streamed)
    client = await stage.ask("acme/a", stream=streamed)
    assert type(client.error) is kind
    assert client.status >= 500
    assert set(client.json["error"]) == {"message", "type", "param", "code"}
    begun = not streamed and fault in ("not json", "no choices")
    charged = Usage(client.body.prompt_tokens) if fault in LATE or begun else None
    assert client.account.usage == charged


async def test_a_short_wish_is_waited_for(stage: Stage) -> None:
    stage.first.will(says(Said(error("x", "x"), 429, {"retry-after-ms": "20"})))
    client = await stage.ask()
    assert client.status == 200
    assert len(stage.first.requests) == 2
    assert not stage.second.requests


async def test_a_wish_is_told_to_the_client(stage: Stage) -> None:
    stage.first.will(says(Said(error("x", "x"), 429, {"retry-after": "3600"})))
    client = await stage.ask("acme/a")
    assert client.status == 503
    assert dict(client.heads[0]["headers"])[b"retry-after"] == b"3600"


async def test_what_the_caller_got_wrong_is_asked_of_nobody_else(stage: Stage) -> None:
    said = error("too large", "invalid_request_error", "max_tokens")
    stage.first.will(says(Said(said, 400)))
    client = await stage.ask()
    assert isinstance(client.error, InvalidRequest)
    assert (client.status, client.json["error"]["param"]) == (400, "max_tokens")
    assert not stage.second.requests
    assert stage.row()["results"] == 0


async def test_a_local_model_may_be_the_fallback(stage: Stage) -> None:
    stage.first.will(*[reset_at_once] * 9)
    client = stage.client()
    asked: list[str] = []

    async def ask(name: str) -> None:
        asked.append(name)
        if stage.arms.is_remote(name):
            await relay(stage.arms, name, client)
        else:
            await client.outgoing.whole(200, b"application/json", b"{}")

    names = (name for name in ("acme/a", "local/cold", "local/warm"))
    await relay_chain(
        stage.arms,
        names,
        ask,
        client.outgoing,
        deadline=client.deadline,
        usable=lambda name: name != "local/cold" and stage.arms.usable(name),
        policy=QUICK,
    )
    assert asked == ["acme/a"] * 3 + ["local/warm"]
    assert client.answer == b"{}"


async def test_one_deadline_for_all_tries(stage: Stage) -> None:
    stage.first.will(*[hold] * 9)
    stage.second.will(*[hold] * 9)
    began = time.monotonic()
    client = await stage.ask(seconds=0.3)
    assert isinstance(client.error, DeadlineExceeded)
    assert time.monotonic() >= began + 0.15
    assert stage.row("acme/a")["failures"] == 0, "the request's deadline was too near to blame it"


# -- faults in the middle ------------------------------------------------------------------------


async def broken(stage: Stage, *pieces: bytes, then: str = "cut", **fields: Any) -> Client:
    stage.offer(**fields)
    stage.first.will(stream(*pieces, then=then))
    client = await stage.ask(stream=True)
    assert client.status == 200
    assert client.account.tries == 1
    assert not stage.second.requests
    assert stage.row()["failures"] == 1
    return client


@pytest.mark.parametrize(
    "last",
    [
        b"",
        b"data: {nonsense\n\n",
        event(error(ECHO, "server_error", CANARY, 500)),
        event(error(ECHO, "x", None, 400)),
        b"<!doctype html>",
    ],
    ids=["cut", "malformed", "error", "refusal", "html"],
)
async def test_a_stream_that_breaks_ends_in_an_error_event_with_the_usage(
    stage: Stage, last: bytes
) -> None:
    client = await broken(stage, DELTA, MORE, *([last] if last else []))
    told = client.events
    assert [each["choices"][0]["delta"]["content"] for each in told[:-1]] == [
        "Hello",
        " dear world, how are you today?",
    ]
    assert told[-1]["error"]["code"] == "upstream_error"
    estimated = -(-len("Hello dear world, how are you today?") // 4)
    assert tokens(told[-1]["usage"]) == (client.body.prompt_tokens, estimated)
    assert client.account.usage == Usage(client.body.prompt_tokens, estimated)
    assert client.account.events == 2


async def test_a_stream_that_is_reset(stage: Stage) -> None:
    resetting = asyncio.Event()
    stage.first.will(stream(DELTA, then=resetting))
    client = stage.client(stream=True)
    serving = asyncio.create_task(stage.serve(client))
    await asyncio.wait_for(client.got.wait(), PATIENCE_S)
    resetting.set()
    await serving
    assert client.events[-1]["error"]["code"] == "upstream_error"
    assert stage.row()["failures"] == 1


async def test_a_stream_that_falls_silent(stage: Stage) -> None:
    client = await broken(stage, DELTA, then="hold", timeout_s=0.1)
    assert client.events[-1]["error"]["code"] == "deadline_exceeded"
    await asyncio.wait_for(stage.first.aborted.wait(), PATIENCE_S)


async def test_usage_that_was_told_early_counts(stage: Stage) -> None:
    told = event(json.loads(DELTA[6:]) | {"usage": COUNTS})
    client = await broken(stage, told, MORE)
    estimated = -(-len(" dear world, how are you today?") // 4)
    assert client.account.usage == Usage(19, 5 + estimated)


# -- breaker -------------------------------------------------------------------------------------


async def test_streams_that_die_half_way_take_an_arm_out(stage: Stage) -> None:
    stage.first.will(*[stream(DELTA, event(error(ECHO, "x", None, 400)))] * 3)
    for _ in range(3):
        await stage.ask(stream=True)
    assert stage.row()["breaker"] == "open"
    assert not stage.arms.usable("acme/a")
    client = await stage.ask()
    assert client.status == 200
    assert len(stage.first.requests) == 3, "it was asked although it is out"
    assert len(stage.second.requests) == 1
    assert "An answer broke off (upstream_error)" in (stage.arms.why_not("acme/a") or "")


async def test_nobody_left_is_told_at_once(stage: Stage) -> None:
    stage.first.will(*[reset_at_once] * 3)
    await stage.ask("acme/a")
    client = await stage.ask("acme/a")
    assert isinstance(client.error, Unavailable)
    assert "left alone" in client.error.message
    assert 0 < (client.error.retry_after_s or 0) <= 5
    assert client.account.tries == 0
    assert len(stage.first.requests) == 3


async def test_a_probe_lets_it_back_in(stage: Stage) -> None:
    stage.first.will(*[reset_at_once] * 3)
    await stage.ask("acme/a")
    stage.later_s = 6.0
    stage.first.will(stream(DELTA, then="hold"))
    probing = stage.client(stream=True)
    probe = asyncio.create_task(stage.serve(probing))
    await asyncio.wait_for(probing.got.wait(), PATIENCE_S)
    assert stage.row()["breaker"] == "half_open"
    await stage.ask()
    assert len(stage.second.requests) == 1, "one probe at a time"
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    assert stage.row()["breaker"] == "half_open", "a client that leaves says nothing of it"
    await stage.ask()
    assert stage.row()["breaker"] == "closed"
    assert len(stage.second.requests) == 1


# -- places --------------------------------------------------------------------------------------


async def test_a_full_queue_refuses_at_once(stage: Stage) -> None:
    stage.offer(max_concurrency=1, max_queued=1)
    stage.first.will(stream(DELTA, then="hold"), hold)
    first, second = stage.client(stream=True), stage.client()
    serving = [asyncio.create_task(stage.serve(each, "acme/a")) for each in (first, second)]
    await asyncio.wait_for(first.got.wait(), PATIENCE_S)
    assert (stage.row()["held"], stage.row()["queued"]) == (1, 1)
    refused = await stage.ask("acme/a")
    assert refused.status == 503
    assert refused.json["error"]["code"] == "overloaded"
    assert b"retry-after" in dict(refused.heads[0]["headers"])
    assert (await stage.ask()).status == 200, "the next arm has room"
    assert len(stage.first.requests) == 1
    for task in serving:
        task.cancel()
    await asyncio.gather(*serving, return_exceptions=True)
    assert stage.row()["results"] == 0


@pytest.mark.parametrize("when", ["before", "within", "queued"])
async def test_a_client_that_leaves_hangs_up_on_the_provider(stage: Stage, when: str) -> None:
    stage.offer(max_concurrency=1, max_queued=1)
    stage.first.will(hold if when == "before" else stream(DELTA, MORE, then="hold"))
    client = stage.client(stream=True)
    serving = asyncio.create_task(stage.serve(client))
    if when == "before":
        await asyncio.wait_for(stage.first.asked.wait(), PATIENCE_S)
    else:
        await asyncio.wait_for(client.got.wait(), PATIENCE_S)
    if when == "queued":
        waiting = stage.client()
        queued = asyncio.create_task(stage.serve(waiting, "acme/a"))
        while not stage.row()["queued"]:
            await asyncio.sleep(0.001)
        queued.cancel()
        await asyncio.gather(queued, return_exceptions=True)
        assert waiting.account.usage is None
    elif when == "within":
        while len(client.pieces) < 2:
            await asyncio.sleep(0.001)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert stage.row()["held"] == 0
    await asyncio.wait_for(stage.first.aborted.wait(), PATIENCE_S)
    assert stage.row()["results"] == 0
    used = client.account.usage
    assert used is not None
    assert used.prompt_tokens == client.body.prompt_tokens
    assert (used.completion_tokens > 0) is (when != "before")
    assert not stage.second.requests
