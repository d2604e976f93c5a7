"""Replicas that die, drain, refuse or talk nonsense: what the client gets, and who is asked instead."""

import asyncio
import json

import pytest

from tests.serve_apps.fake_replica import ChatEvents as sse

OK = {"object": "chat.completion", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
RETRIES = "zoran_replica_retries_total"


async def good_and(stack, *steps, dead=False):
    """A replica that fails in this way and is asked first, and one that answers."""
    bad, good = await stack.replica("bad", dead=dead), await stack.replica("good", running=50)
    bad.will(*(getattr(bad, name)(*args) for name, *args in steps))
    good.will(good.whole(OK))
    return bad, good


async def test_a_replica_that_cannot_be_reached_is_replaced(stack):
    _, good = await good_and(stack, dead=True)
    answer = await stack.chat()
    assert (answer.status, answer.json) == (200, OK)
    assert stack.counted(RETRIES, model="local/m") == 1
    # It is under suspicion now and not asked again at once.
    await stack.chat()
    assert stack.counted(RETRIES, model="local/m") == 1
    assert len(good.requests) == 2


CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "step",
    [
        ("hang_up",),
        ("hang_up", b"HTTP/1.1 200 OK\r\ncont"),
        ("hang_up", b"no HTTP at all\r\n\r\n"),
        ("hang_up", CHUNKED),
        ("hang_up", CHUNKED + b"1f4\r\n"),
        ("whole", b"{", 200, "application/json", (), 99),
        ("draining",),
    ],
)
async def test_a_replica_lost_before_the_first_byte_is_replaced(stack, step):
    bad, good = await good_and(stack, step)
    answer = await stack.chat()
    assert (answer.status, answer.json) == (200, OK)
    assert (len(bad.requests), len(good.requests)) == (1, 1)
    assert bad.requests[0].body == good.requests[0].body
    assert stack.counted(RETRIES, model="local/m") == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_three_losses_are_enough(stack, stream):
    for name in "abc":
        await stack.replica(name, dead=True)
    answer = await stack.chat(stream=stream)
    assert (answer.status, answer.code) == (502, "upstream_error")
    assert answer.headers["retry-after"] == "1"
    assert "3 replicas of 'local/m' were lost" in answer.json["error"]["message"]
    labels = {"endpoint": "/v1/chat/completions", "model": "local/m", "code": "502", "class": "5xx"}
    assert stack.counted("zoran_requests_total", **labels) == 1
    assert stack.counted("zoran_relay_errors_total", kind="upstream_error") == 1
    assert stack.counted(RETRIES, model="local/m") == 2


async def test_the_only_replica_is_lost_and_another_comes(stack):
    bad = await stack.replica("bad")
    bad.will(bad.hang_up())
    asking = asyncio.create_task(stack.chat())
    await bad.asked.wait()
    fresh = await stack.replica("fresh")
    fresh.will(fresh.whole(OK))
    assert (await asking).json == OK
    assert len(bad.requests) == 1


BODIES = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "a"}]},
    "/v1/completions": {"prompt": "a"},
    "/v1/responses": {"input": "a"},
    "/v1/messages": {"messages": [{"role": "user", "content": "a"}], "max_tokens": 3},
}


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("then", ["lost", "end"])
async def test_a_stream_that_breaks_off_ends_with_an_error_event(stack, path, then):
    replica = await stack.replica()
    replica.will(replica.stream(b'data: {"n":1}\n\ndata: {"n":2}\n\nda', b'ta: {"n"', then=then))
    answer = await stack.post(path, {"model": "m", "stream": True, **BODIES[path]})
    assert answer.status == 200
    assert answer.body.startswith(b'data: {"n":1}\n\ndata: {"n":2}\n\n')
    *events, rest = answer.body.decode().split("\n\n")
    assert rest == ""
    told = events[2].split("\n")
    error = json.loads(told[-1].removeprefix("data: "))
    match path.split("/")[2]:
        case "responses":
            assert told[0] == "event: error"
            assert (error["type"], error["code"], error["sequence_number"]) == (
                "error",
                "upstream_error",
                2,
            )
            assert len(events) == 3
        case "messages":
            assert told[0] == "event: error"
            assert (error["type"], error["error"]["type"]) == ("error", "api_error")
            assert len(events) == 3
        case _:
            assert error["error"]["code"] == "upstream_error"
            assert events[3:] == ["data: [DONE]"]
    assert "send the request again" in told[-1]
    assert stack.counted("zoran_relay_errors_total", kind="upstream_error") == 1


async def test_what_a_broken_stream_brought_is_counted(stack):
    replica = await stack.replica()
    replica.will(replica.stream(sse.say("4"), sse.say("2"), then="lost"))
    await stack.chat(stream=True)
    assert stack.counted("zoran_tokens_total", kind="output", model="local/m") == 2


async def test_an_error_the_engine_sends_within_a_stream_is_left_as_it_is(stack):
    replica = await stack.replica()
    events = (
        sse.say("4") + b'data: {"error":{"message":"m","type":"t","param":null,"code":400}}\n\n' + sse.DONE
    )
    replica.will(replica.stream(events))
    assert (await stack.chat(stream=True)).body == events


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"usage":', b"\xff\xfe"])
async def test_nonsense_from_a_replica_is_its_fault(stack, body):
    replica = await stack.replica()
    replica.will(replica.whole(body))
    answer = await stack.chat()
    assert (answer.status, answer.code) == (502, "upstream_error")


async def test_an_answer_without_end_is_given_up(stack, monkeypatch):
    monkeypatch.setattr("serve_apps.gateway.upstream._MOST_BUFFERED_BYTES", 1000)
    replica = await stack.replica()
    replica.will(replica.whole(b" " * 1001))
    assert (await stack.chat()).code == "upstream_error"


async def test_no_redirect_takes_the_secret_elsewhere(stack):
    replica, other = await stack.replica(), await stack.replica("other", running=50)
    other.will(other.whole(OK))
    to = f"location: http://127.0.0.1:{other.port}/v1/chat/completions"
    replica.will(replica.whole(b"", 307, headers=(to,)))
    answer = await stack.chat()
    assert (answer.status, answer.code) == (502, "upstream_error")
    assert not other.requests


def refusal(message, code, param=None):
    return {"error": {"message": message, "type": "BadRequestError", "param": param, "code": code}}


@pytest.mark.parametrize(
    ("status", "body", "told", "code"),
    [
        (400, refusal("too long", 400, "body.max_tokens"), 400, "invalid_value"),
        (404, refusal("The model `m` does not exist.", 404, "model"), 404, "model_not_found"),
        (422, {"detail": "bad"}, 400, "invalid_value"),
        (401, refusal("no", 401), 502, "upstream_error"),
        (500, refusal("worker at 10.1.2.3:5 died, canary-8d41f7", 500), 500, "engine_error"),
        (503, refusal("busy", 503), 503, "overloaded"),
        (502, b"<html>nginx</html>", 502, "upstream_error"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_an_engine_refuses_is_not_asked_elsewhere(stack, status, body, told, code, stream):
    replica, other = await stack.replica(), await stack.replica("other", running=50)
    replica.will(replica.whole(body, status))
    answer = await stack.chat(stream=stream)
    assert (answer.status, answer.code) == (told, code)
    assert answer.headers["content-type"] == "application/json"
    assert ("retry-after" in answer.headers) == (told == 503)
    assert not other.requests
    labels = {"endpoint": "/v1/chat/completions", "model": "local/m", "code": str(told)}
    assert stack.counted("zoran_requests_total", **labels, **{"class": f"{told // 100}xx"}) == 1


async def test_refusals_of_messages_look_like_anthropics(stack):
    replica = await stack.replica()
    replica.will(replica.whole({"type": "error", "error": {"type": "x", "message": "too long"}}, 400))
    answer = await stack.post("/v1/messages", {"model": "m", **BODIES["/v1/messages"]})
    assert answer.status == 400
    assert answer.json["type"] == "error"
    assert answer.json["error"] == {"type": "invalid_request_error", "message": "too long"}
    assert answer.json["request_id"] == answer.headers["request-id"]


async def test_a_bug_of_ours_says_nothing_of_the_request(stack, monkeypatch, caplog):
    def bug(raw, *args):
        raise RuntimeError(raw)

    monkeypatch.setattr("serve_apps.gateway.handle.parse", bug)
    answer = await stack.chat(words="private")
    assert (answer.status, answer.code) == (500, "internal_error")
    (line,) = [r for r in caplog.records if r.name == "zoran.gateway"]
    assert line.getMessage() == "unexpected RuntimeError"
    assert "private" not in str(vars(line)) + answer.body.decode()
    assert "in bug" in line.traceback
