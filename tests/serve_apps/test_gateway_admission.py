"""Who comes in, how often and how much: keys, limits, sizes, times, places."""

import asyncio
import hashlib
import json
import time

import pytest

from tests.serve_apps.fake_replica import ChatEvents as sse
from zoran_ray.access.leases import Ask
from zoran_ray.messages import KeyInfo, KeySnapshot

OK = {"usage": {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}}
CHAT = "/v1/chat/completions"


def bearer(secret):
    return {"authorization": f"Bearer {secret}"}


@pytest.fixture
async def keys(stack):
    """Gives a running gateway the key `zk-good` with these fields, and a replica that answers."""
    replica = await stack.replica()
    replica.will(replica.whole(OK))

    def give(version=1, **fields):
        digest = hashlib.sha256(b"zk-good").hexdigest()
        stack.door.update(KeySnapshot(version, (KeyInfo("k1", "me", digest, **fields),)))
        return replica

    return give


async def test_anybody_may_while_no_key_was_ever_created(stack):
    replica = await stack.replica()
    replica.will(replica.whole(OK))
    for headers in (None, bearer("whatever"), {"x-api-key": "x"}):
        assert (await stack.chat(headers)).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        None,
        bearer("zk-bad"),
        {"authorization": "Basic zk-good"},
        {"x-api-key": "zk-bad"},
        {"authorization": "Bearer"},
    ],
)
async def test_nobody_may_without_the_key_once_there_is_one(stack, keys, headers):
    replica = keys()
    answer = await stack.chat(headers)
    assert (answer.status, answer.code) == (401, "invalid_api_key")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert not replica.requests
    assert stack.counted("zoran_rejected_total", reason="invalid_api_key") == 1


@pytest.mark.parametrize("headers", [bearer("zk-good"), {"x-api-key": "zk-good"}])
async def test_with_the_key_one_may(stack, keys, headers):
    keys()
    assert (await stack.chat(headers)).status == 200


async def test_a_revoked_last_key_does_not_open_the_door(stack, keys):
    keys()
    stack.door.update(KeySnapshot(2, ()))
    assert (await stack.chat(bearer("zk-good"))).status == 401


async def test_an_expired_key_is_none(stack, keys):
    keys(expires=time.time() - 1)
    assert (await stack.chat(bearer("zk-good"))).status == 401


async def test_off_loopback_nobody_may_without_a_key(make_stack):
    stack = await make_stack(open_without_keys=False)
    assert (await stack.chat()).status == 401


async def test_a_key_for_other_models(stack, keys):
    keys(models=("local/other", "local/x*"))
    answer = await stack.chat(bearer("zk-good"))
    assert (answer.status, answer.code) == (403, "permission_denied")
    assert answer.json["error"]["param"] == "model"


async def test_a_tenants_cache_is_its_own(stack, keys):
    replica = keys(tenant="acme")
    await stack.chat(bearer("zk-good"), cache_salt="another's")
    await stack.chat(bearer("zk-good"))
    keys(version=2, tenant="other")
    await stack.chat(bearer("zk-good"))
    first, second, others = [r.json["cache_salt"] for r in replica.requests]
    assert first == second != others
    assert "acme" not in first


async def test_requests_per_minute(stack, keys):
    keys(requests_per_min=2)
    answers = [await stack.chat(bearer("zk-good")) for _ in range(3)]
    assert [a.status for a in answers] == [200, 200, 429]
    assert [a.headers["x-ratelimit-remaining-requests"] for a in answers] == ["1", "0", "0"]
    assert {a.headers["x-ratelimit-limit-requests"] for a in answers} == {"2"}
    assert answers[2].code == "rate_limit_exceeded"
    assert 50 < int(answers[2].headers["retry-after"]) <= 62
    assert stack.counted("zoran_rejected_total", reason="rate_limit_exceeded") == 1


def used_tokens(stack):
    (grant,) = stack.ledger.lease([Ask("k1", "tokens", 1, 1, 10**9)])
    return 10**9 - grant.remaining - 1


async def test_tokens_are_settled_to_what_the_engine_counted(stack, keys):
    keys(tokens_per_min=1000)
    answer = await stack.chat(bearer("zk-good"), max_tokens=200)
    # Before the answer it is an estimate: 200 and a few for the prompt.
    assert 750 < int(answer.headers["x-ratelimit-remaining-tokens"]) < 800
    await stack.limits.flush()
    assert used_tokens(stack) == 30


async def test_no_more_is_reserved_than_a_context_holds(stack, keys):
    keys(tokens_per_min=5000)
    answer = await stack.chat(bearer("zk-good"), max_tokens=10**6)
    assert answer.headers["x-ratelimit-remaining-tokens"] == str(5000 - 2048)


@pytest.mark.parametrize("status", [400, 500])
async def test_a_request_that_failed_costs_no_tokens(stack, keys, status):
    replica = keys(tokens_per_min=1000)
    replica.will(replica.whole({"error": {"message": "no"}}, status))
    await stack.chat(bearer("zk-good"), max_tokens=200)
    await stack.limits.flush()
    assert used_tokens(stack) == 0


async def test_tokens_of_a_stream_are_settled_too(stack, keys):
    replica = keys(tokens_per_min=1000)
    replica.will(replica.stream(sse.say("4"), sse.USAGE, sse.DONE))
    await stack.chat(bearer("zk-good"), max_tokens=200, stream=True)
    await stack.limits.flush()
    assert used_tokens(stack) == 12


# -- bodies ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "invalid_value"),
        (b"{", "invalid_value"),
        (b"[]", "invalid_value"),
        (b'{"model":"m"}', "invalid_value"),
        (b'{"model":1,"messages":[{}]}', "invalid_value"),
        (b'{"model":"m","messages":[{}],"n":99}', "invalid_value"),
        (b'{"model":"m","messages":' + b"[" * 99 + b"]" * 99 + b"}", "invalid_value"),
    ],
)
async def test_bodies_that_are_none(stack, raw, code):
    answer = await stack.post(CHAT, raw)
    assert (answer.status, answer.code) == (400, code)


async def test_a_model_that_is_not_here(stack):
    answer = await stack.post(CHAT, {"model": "gpt-9", "messages": [{}]})
    assert (answer.status, answer.code) == (404, "model_not_found")
    assert "local/m" in answer.json["error"]["message"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_other_methods(stack, method):
    answer = await stack.post("/v1/messages", b"{}", method=method)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert answer.json["error"]["type"] == "invalid_request_error"


async def raw_request(stack, head, body=b""):
    """Status and JSON of a request written by hand; the body may stop short."""
    reader, writer = await asyncio.open_connection("127.0.0.1", stack.port)
    writer.write(f"POST {CHAT} HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n".encode() + body)
    answer = await reader.readuntil(b"\r\n\r\n")
    length = int(answer.split(b"content-length: ")[1].split(b"\r\n")[0])
    told = json.loads(await reader.readexactly(length))
    writer.close()
    return int(answer.split()[1]), told["error"]


async def test_a_body_that_says_it_is_too_large_is_not_read(make_stack):
    stack = await make_stack(max_body_bytes=2048)
    status, error = await raw_request(stack, "content-length: 2049")
    assert (status, error["code"]) == (413, "request_too_large")


async def test_a_body_that_turns_out_too_large_is_not_kept(make_stack):
    stack = await make_stack(max_body_bytes=2048)
    chunk = b"400\r\n" + b" " * 1024 + b"\r\n"
    status, error = await raw_request(stack, "transfer-encoding: chunked", chunk * 3)
    assert (status, error["code"]) == (413, "request_too_large")


async def test_a_body_of_just_the_limit_passes(make_stack):
    stack = await make_stack(max_body_bytes=2048)
    replica = await stack.replica()
    replica.will(replica.whole(OK))
    body = json.dumps({"model": "m", "messages": [{}]}).encode()
    assert (await stack.post(CHAT, body.ljust(2048))).status == 200
    assert (await stack.post(CHAT, body.ljust(2049))).status == 413


async def test_a_body_that_does_not_come(make_stack):
    stack = await make_stack(body_timeout_s=0.05)
    status, error = await raw_request(stack, "content-length: 10", b'{"m')
    assert (status, error["type"]) == (400, "invalid_request_error")
    assert "within 0.05 s" in error["message"]


# -- places and time ------------------------------------------------------------------------


async def test_a_full_gateway_refuses_at_once(make_stack):
    stack = await make_stack(max_inflight=1)
    replica = await stack.replica()
    replica.will(replica.stream(sse.say("4"), then="hold"), replica.whole(OK))
    first = asyncio.create_task(stack.chat(stream=True))
    await replica.asked.wait()
    answer = await stack.chat()
    assert (answer.status, answer.code) == (503, "overloaded")
    assert answer.headers["retry-after"] == "1"
    await replica.stop()
    assert b"upstream_error" in (await first).body
    assert stack.gateway._admission.held == 0


async def test_an_answer_that_takes_too_long(make_stack):
    stack = await make_stack(request_timeout_s=0.3)
    replica = await stack.replica()
    replica.will(replica.hold())
    answer = await stack.chat()
    assert (answer.status, answer.code) == (504, "deadline_exceeded")
    assert answer.headers["retry-after"] == "5"
    await replica.aborted.wait()


async def test_a_stream_that_takes_too_long(make_stack):
    stack = await make_stack(request_timeout_s=0.5)
    replica = await stack.replica()
    replica.will(replica.stream(sse.say("4"), then="hold"))
    answer = await stack.chat(stream=True)
    told, error, done, rest = answer.body.decode().split("\n\n")
    assert (told + "\n\n").encode() == sse.say("4")
    assert json.loads(error.removeprefix("data: "))["error"]["code"] == "deadline_exceeded"
    assert (done, rest) == ("data: [DONE]", "")
    await replica.aborted.wait()
