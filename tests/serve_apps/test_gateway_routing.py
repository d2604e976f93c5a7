"""The whole gateway in front of one local model and two providers: named, routed, paid for, explained."""

import asyncio
import json

import numpy as np
import pytest

from tests.engines.providers.fake_provider import FakeProvider, hold, html, says, stream
from tests.engines.providers.speeches import Said, Speech
from tests.serve_apps.test_gateway_disconnect import Call
from zoran_ray.access import Budget
from zoran_ray.messages import KeyInfo, KeySnapshot
from zoran_ray.offers import AUTO
from zoran_ray.routing import Arm, ArmPrice, Feedback, Outcome
from zoran_ray.routing.reports import Answered, Scored
from zoran_ray.routing.resonator import Resonator

CHAT = "/v1/chat/completions"
KEY = {"authorization": "Bearer zk-good"}
NAMED = {"x-request-id": "req-1"}
DEAR = ArmPrice(1e-3, 1e-3)
SIZE = 64
ENVIRON = {"ACME_API_KEY": "sk-canary-41aa90c7"}
ANSWER = {
    "id": "c1", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "4"}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10},
}  # fmt: skip


def arm(name, url, **fields):
    return {
        "name": name, "provider": "openai_compatible", "upstream": Speech().model, "base_url": url,
        "context_tokens": 8192, "data_goes": "us", "usd_per_million_input": 1, "usd_per_million_output": 2,
        "api_key_env": "ACME_API_KEY", "capabilities": ["tools", "json_schema"], "max_output_tokens": 100,
        **fields,
    }  # fmt: skip


@pytest.fixture
async def acme():
    async with FakeProvider(Speech(), ENVIRON["ACME_API_KEY"]) as provider:
        yield provider


@pytest.fixture
async def bits():
    async with FakeProvider(Speech(), ENVIRON["ACME_API_KEY"]) as provider:
        yield provider


@pytest.fixture
async def stack(make_stack, acme, bits):
    """`local/m`, `acme/a` (falls back to `bits/b`), `bits/b` (falls back to whoever is best)."""
    stack = await make_stack(environ=ENVIRON)
    replica = await stack.replica()
    replica.will(replica.whole(ANSWER))
    offer(stack, acme, bits)
    return stack


def offer(stack, acme, bits, **fields):
    stack.catalogue(
        arm("acme/a", acme.url, **{"fallbacks": ["bits/b"], **fields}),
        arm("bits/b", bits.url, fallbacks="auto"),
    )


def lock(stack, **fields):
    import hashlib

    digest = hashlib.sha256(b"zk-good").hexdigest()
    stack.door.update(KeySnapshot(1, (KeyInfo("k1", "me", digest, **fields),)))


def learned(stack, best, names=("local/m", "acme/a", "bits/b"), prices=None):
    """Give the gateway a snapshot that has seen `best` score 1 and the others 0."""
    arms = [Arm(name, (prices or {}).get(name, ArmPrice())) for name in names]
    router = Resonator(arms, SIZE, exploration=0.0)
    x = np.zeros(SIZE)
    x[0] = 1.0
    for _ in range(40):
        for place, name in enumerate(names):
            router.learn(Feedback(x, place, Outcome(float(name == best), 10, 0.1)))
    stack.router.update(router.snapshot())


async def settled(stack):
    """Nano-USD spent, once nothing is set aside any more: a client has its answer a moment earlier."""
    async with asyncio.timeout(5):
        while (spent := await stack.authority.spent()).reserved:
            await stack.spending.flush(5)
            await asyncio.sleep(0.01)
    return spent.settled


def failing(times, status=500):
    return [says(Said({"error": {"message": "no", "type": "server_error"}}, status))] * times


# Named.


async def test_a_named_arm_answers_and_is_paid_for(stack, acme):
    answer = await stack.chat(model="acme/a", max_tokens=10)
    assert answer.status == 200
    used = answer.json["usage"]
    cost = (used["prompt_tokens"] * 1 + used["completion_tokens"] * 2) / 1e6
    assert answer.headers["x-zoran-model"] == "acme/a"
    assert answer.headers["x-zoran-route-reason"] == "named"
    assert answer.headers["x-zoran-attempts"] == "1"
    assert float(answer.headers["x-zoran-cost-usd"]) == pytest.approx(cost)
    assert float(answer.headers["x-zoran-overhead-ms"]) > 0
    assert await settled(stack) == round(cost * 1e9)
    assert stack.counted("zoran_cost_usd_total", model="acme/a") == pytest.approx(cost)
    assert "zoran" not in acme.sent


async def test_a_stream_of_a_provider_is_settled_too(stack):
    answer = await stack.chat(model="acme/a", stream=True)
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert b'"usage":{' not in answer.body, "the client had not asked for it"
    assert "x-zoran-cost-usd" not in answer.headers
    assert await settled(stack) > 0


async def test_a_local_model_says_who_it_is(stack):
    answer = await stack.chat()
    assert answer.headers["x-zoran-model"] == "local/m"
    assert answer.headers["x-zoran-cost-usd"] == "0.000000000"
    assert (await stack.authority.spent()).total == 0


async def test_the_fallback_answers(stack, acme, bits):
    acme.will(*failing(3))
    answer = await stack.chat(model="acme/a")
    assert answer.status == 200
    assert answer.headers["x-zoran-model"] == "bits/b"
    assert answer.headers["x-zoran-attempts"] == "4"
    await settled(stack)


async def test_fallback_auto_goes_where_the_router_would(stack, acme, bits):
    bits.will(*failing(3))
    learned(stack, "local/m")
    answer = await stack.chat(model="bits/b")
    assert answer.headers["x-zoran-model"] == "local/m"
    assert stack.replicas["r1"].requests[-1].json["model"] == "local/m"


async def test_a_stream_that_breaks_off_ends_with_an_error_and_its_usage(stack, acme):
    piece = b'data: {"choices":[{"index":0,"delta":{"content":"four"}}]}\n\n'
    acme.will(stream(piece, then="cut"))
    answer = await stack.chat(model="acme/a", stream=True)
    *_, error, done, rest = answer.body.split(b"\n\n")
    assert (done, rest) == (b"data: [DONE]", b"")
    told = json.loads(error.removeprefix(b"data: "))
    assert told["error"]["code"] == "upstream_error"
    assert told["usage"]["completion_tokens"] >= 1
    assert await settled(stack) > 0


@pytest.mark.parametrize("step", [html(), *failing(1, 401)])
async def test_without_fallback_the_failure_is_told(stack, acme, bits, step):
    offer(stack, acme, bits, fallbacks=[])
    acme.will(*[step] * 9)
    answer = await stack.chat(model="acme/a")
    assert answer.status == 502
    assert answer.headers["x-zoran-model"] == "acme/a"


async def test_a_client_that_leaves_frees_the_place_and_the_money(stack, acme):
    acme.will(hold)
    call = Call(stack, model="acme/a")
    await asyncio.wait_for(acme.asked.wait(), 5)
    await call.leave()
    await asyncio.wait_for(acme.aborted.wait(), 5)
    await settled(stack)
    assert {row["held"] for row in stack.arms.rows()} == {0}


async def test_what_is_spent_is_refused(make_stack, acme, bits):
    stack = await make_stack(environ=ENVIRON, budget=Budget.of_usd(per_day=0.0005))
    offer(stack, acme, bits)
    replica = await stack.replica()
    replica.will(replica.whole(ANSWER))
    assert (await stack.chat(model="acme/a", max_tokens=10)).status == 200
    answer = await stack.chat(model="acme/a", max_tokens=100)
    while answer.status == 200:
        answer = await stack.chat(model="acme/a", max_tokens=100)
    assert (answer.status, answer.code) == (402, "budget_exceeded")
    assert (await stack.chat()).status == 200, "what is free still answers"


async def test_a_keys_budget_for_one_request(stack):
    lock(stack, usd_per_request=0.0003)
    answer = await stack.chat(KEY, model="acme/a", max_tokens=100)
    assert (answer.status, answer.code) == (402, "budget_exceeded")
    assert (await stack.chat(KEY, model="acme/a", max_tokens=5)).status == 200


async def test_a_key_may_not_use_what_it_may_not(stack):
    lock(stack, models=("local/*",))
    assert (await stack.chat(KEY, model="acme/a")).code == "permission_denied"
    assert (await stack.chat(KEY, model=AUTO)).headers["x-zoran-model"] == "local/m"
    told = (await stack.get("/v1/models", KEY)).json["data"]
    assert [row["id"] for row in told] == ["local/m", AUTO]


async def test_an_endpoint_a_provider_does_not_have(stack):
    answer = await stack.post("/v1/responses", {"model": "acme/a", "input": "hi"})
    assert (answer.status, answer.json["error"]["param"]) == (400, "model")


async def test_the_list_has_them_all(stack):
    rows = {row["id"]: row for row in (await stack.get("/v1/models")).json["data"]}
    assert set(rows) == {"local/m", "acme/a", "bits/b", AUTO}
    assert rows["acme/a"]["zoran"]["usd_per_million_output"] == 2
    assert rows["acme/a"]["zoran"]["state"] == "ready"


async def test_an_unknown_model_is_told_of_all(stack):
    answer = await stack.chat(model="nope")
    assert (answer.status, answer.code) == (404, "model_not_found")
    assert "acme/a" in answer.json["error"]["message"]


# Routed.


async def test_before_anything_is_learned_the_cheapest_answers(stack):
    answer = await stack.chat(model=AUTO)
    assert answer.headers["x-zoran-model"] == "local/m"
    assert answer.headers["x-zoran-route-reason"] == "nothing-learned"
    assert stack.replicas["r1"].requests[-1].json["model"] == "local/m"


async def test_before_anything_is_learned_nobody_is_asked_who_may_be_too_dear(stack):
    answer = await stack.chat(model=AUTO, zoran={"max_usd": 1e-9, "arms": ["acme/a", "bits/b"]})
    assert (answer.status, answer.code) == (400, "no_arm_fits")
    assert "acme/a: it may cost more than 'zoran.max_usd'" in answer.json["error"]["message"]
    assert (await stack.chat(model=AUTO, zoran={"max_usd": 1e-9})).headers["x-zoran-model"] == "local/m"


@pytest.mark.parametrize("best", ["local/m", "acme/a", "bits/b"])
async def test_the_best_answers(stack, best):
    learned(stack, best)
    answer = await stack.chat(NAMED, model=AUTO)
    assert answer.headers["x-zoran-model"] == best
    assert answer.headers["x-zoran-route-reason"] == "best-value"
    (report,) = await stack.reported()
    assert isinstance(report, Answered)
    assert (report.arm, report.chosen, report.failed, report.score) == (best, best, False, 1.0)
    assert report.request_id == "req-1"
    assert report.propensity == 1.0
    assert report.latency_s > 0
    assert stack.counted("zoran_routed_total", model=best, reason="best value") == 1


async def test_who_fails_is_told_and_the_next_best_answers(stack, acme):
    learned(stack, "acme/a")
    acme.will(*failing(3))
    answer = await stack.chat(model=AUTO)
    assert answer.status == 200
    assert answer.headers["x-zoran-model"] != "acme/a"
    reports = await stack.reported()
    failed = [report for report in reports if report.failed]
    assert {report.arm for report in failed} == {"acme/a"}
    assert reports[-1].chosen == "acme/a"
    assert reports[-1].arm == answer.headers["x-zoran-model"]


async def test_an_arm_that_keeps_failing_is_out_of_the_choice(stack, acme):
    learned(stack, "acme/a")
    acme.will(*failing(30))
    for _ in range(3):
        assert (await stack.chat(model=AUTO)).status == 200
    told = (await stack.get("/v1/routing/state")).json
    assert "acme/a" in told["away"]
    asked = len(acme.requests)
    assert (await stack.chat(model=AUTO)).headers["x-zoran-attempts"] == "1"
    assert len(acme.requests) == asked


async def test_what_a_request_needs_and_allows(stack):
    learned(stack, "local/m")
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    assert (await stack.chat(model=AUTO, tools=tools)).headers["x-zoran-model"] != "local/m"
    learned(stack, "acme/a")
    assert (await stack.chat(model=AUTO, zoran={"residency": "local"})).headers[
        "x-zoran-model"
    ] == "local/m"
    only = await stack.chat(model=AUTO, zoran={"arms": ["bits/b"]})
    assert only.headers["x-zoran-model"] == "bits/b"
    assert only.headers["x-zoran-route-reason"] == "only-arm"


async def test_nothing_fits(stack):
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    answer = await stack.chat(model=AUTO, tools=tools, zoran={"residency": "local"})
    assert (answer.status, answer.code) == (400, "no_arm_fits")
    message = answer.json["error"]["message"]
    assert "local/m: it has no tools" in message
    assert "acme/a: prompts to it go to 'us'" in message
    assert await stack.reported() == []


async def test_nothing_is_cheap_enough(stack):
    learned(stack, "local/m", prices={"acme/a": DEAR, "bits/b": DEAR})
    zoran = {"max_usd": 0.001, "arms": ["acme/a", "bits/b"]}
    answer = await stack.chat(model=AUTO, zoran=zoran)
    assert (answer.status, answer.code) == (400, "no_arm_fits")
    message = answer.json["error"]["message"]
    assert "acme/a: it is expected to cost " in message
    assert "USD, more than max_usd" in message
    assert "local/m: it is not among 'zoran.arms'" in message


async def test_a_failure_is_told_where_all_others_are_too_dear(stack, acme):
    learned(stack, "acme/a", prices={"local/m": DEAR, "bits/b": DEAR})
    acme.will(*failing(3))
    answer = await stack.chat(model=AUTO, zoran={"max_usd": 0.001})
    assert (answer.status, answer.code) == (502, "upstream_error")
    assert {report.arm for report in await stack.reported()} == {"acme/a"}


async def test_a_failure_is_told_where_nobody_else_can_answer(stack, bits):
    lock(stack, models=("bits/*",))
    bits.will(*failing(3))
    answer = await stack.chat(KEY, model="bits/b", logprobs=True)
    assert (answer.status, answer.code) == (502, "upstream_error")


async def test_all_who_fit_are_away(stack, bits):
    """To wait may help, which a 400 would deny."""
    lock(stack, models=("bits/*",))
    bits.will(*failing(9))
    for _ in range(2):
        assert (await stack.chat(KEY, model=AUTO)).status == 502
    answer = await stack.chat(KEY, model=AUTO)
    assert (answer.status, answer.code) == (503, "service_unavailable")
    assert 0 < int(answer.headers["retry-after"]) <= 5


@pytest.mark.parametrize(
    ("zoran", "param"),
    [
        ({"max_usd": -1}, "zoran.max_usd"),
        ({"latency_slo_ms": "fast"}, "zoran.latency_slo_ms"),
        ({"arms": ["nope"]}, "zoran.arms"),
        ({"wishes": 3}, "zoran.wishes"),
        ([], "zoran"),
    ],
)
async def test_an_objective_that_makes_no_sense(stack, zoran, param):
    answer = await stack.chat(model=AUTO, zoran=zoran)
    assert (answer.status, answer.json["error"]["param"]) == (400, param)


async def test_an_objective_for_a_named_model(stack):
    answer = await stack.chat(zoran={"max_usd": 1})
    assert (answer.status, answer.json["error"]["param"]) == (400, "zoran")


async def test_embeddings_are_not_routed(stack):
    answer = await stack.post("/v1/embeddings", {"model": AUTO, "input": "hi"})
    assert (answer.status, answer.json["error"]["param"]) == (400, "model")


async def test_a_bad_answer_is_a_sign(stack):
    replica = stack.replicas["r1"]
    replica.will(replica.whole({**ANSWER, "choices": []}))
    await stack.chat(model=AUTO)
    (report,) = await stack.reported()
    assert (report.score, report.failed) == (0.0, False)


async def test_asked_again_is_a_sign_against_the_first_answer(stack):
    await stack.chat(NAMED, model=AUTO)
    await stack.chat(model=AUTO)
    _, sign, _ = await stack.reported()
    assert isinstance(sign, Scored)
    assert (sign.request_id, sign.implicit) == ("req-1", True)
    assert sign.score < 0.5


async def test_late_is_a_failure(stack):
    await stack.chat(model=AUTO, zoran={"latency_slo_ms": 0.001})
    (report,) = await stack.reported()
    assert report.failed


async def test_a_client_that_leaves_teaches_nothing(stack, acme):
    learned(stack, "acme/a")
    acme.will(hold)
    call = Call(stack, model=AUTO)
    await asyncio.wait_for(acme.asked.wait(), 5)
    await call.leave()
    assert await stack.reported() == []


async def test_a_conversation_stays_with_its_model(stack):
    learned(stack, "acme/a")
    talk = [{"role": "user", "content": "2+2"}]
    assert (await stack.chat(model=AUTO, messages=talk)).headers["x-zoran-model"] == "acme/a"
    learned(stack, "bits/b")
    result = {"role": "tool", "tool_call_id": "c1", "content": "4"}
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    talk += [{"role": "assistant", "content": None, "tool_calls": [call]}, result]
    answer = await stack.chat(model=AUTO, messages=talk)
    assert answer.headers["x-zoran-model"] == "acme/a"
    assert answer.headers["x-zoran-route-reason"] == "stays"
    other = [{"role": "user", "content": "something else"}]
    assert (await stack.chat(model=AUTO, messages=other)).headers["x-zoran-model"] == "bits/b"


@pytest.mark.parametrize("name", ["user", "prompt_cache_key", "session_id"])
async def test_two_conversations_of_one_user_keep_their_own_models(stack, name):
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    called = {"role": "assistant", "content": None, "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": "c1", "content": "4"}
    for best, text in (("acme/a", "2+2"), ("bits/b", "3+3")):
        learned(stack, best)
        talk = [{"role": "user", "content": text}]
        assert (await stack.chat(model=AUTO, messages=talk, **{name: "me"})).headers[
            "x-zoran-model"
        ] == best
    for best, text in (("acme/a", "2+2"), ("bits/b", "3+3")):
        learned(stack, "local/m")
        now = {"role": "system", "content": f"It is {text} o'clock."}
        talk = [now, {"role": "user", "content": text}, called, result]
        answer = await stack.chat(model=AUTO, messages=talk, **{name: "me"})
        assert answer.headers["x-zoran-model"] == best


# Explained and scored.


async def test_an_explanation(stack, acme):
    learned(stack, "acme/a")
    body = {"messages": [{"role": "user", "content": "write a function"}], "zoran": {"latency_slo_ms": 500}}
    told = (await stack.post("/v1/route/explain", body)).json
    assert told["choice"]["arm"] == "acme/a"
    assert told["choice"]["propensity"] == 1.0
    assert told["task"] == "code"
    rows = {row["name"]: row for row in told["arms"]}
    assert set(rows) == {"local/m", "acme/a", "bits/b"}
    best = rows["acme/a"]
    assert best["quality"]["low"] <= best["quality"]["mean"] <= best["quality"]["high"]
    assert 0 <= best["p_late"] <= 1
    assert best["excluded"] is None
    assert acme.requests == [], "nobody was asked"


async def test_an_explanation_says_why_not(stack):
    learned(stack, "acme/a")
    body = {"messages": [{"role": "user", "content": "hi"}], "zoran": {"residency": "local"}}
    told = (await stack.post("/v1/route/explain", body)).json
    rows = {row["name"]: row for row in told["arms"]}
    assert told["choice"]["arm"] == "local/m"
    assert "us" in rows["acme/a"]["excluded"]


async def test_an_explanation_before_anything_is_learned(stack):
    told = (await stack.post("/v1/route/explain", {"messages": [{"role": "user", "content": "hi"}]})).json
    assert told["choice"]["reason"] == "nothing learned"
    assert len(told["arms"]) == 3


async def test_feedback(stack):
    await stack.chat(NAMED, model=AUTO)
    said = {"request_id": "req-1", "score": 0.75, "comment": "prompt-canary"}
    told = await stack.post("/v1/feedback", said)
    assert told.json == {
        "object": "feedback", "request_id": said["request_id"], "score": 0.75, "status": "counted"
    }  # fmt: skip
    _, scored = stack.reports
    assert (scored.score, scored.comment_chars, scored.implicit) == (0.75, 13, False)


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({"score": 1}, "request_id"),
        ({"request_id": "r"}, "score"),
        ({"request_id": "r", "score": 1.5}, "score"),
        ({"request_id": "r", "score": -0.1}, "score"),
        ({"request_id": "r", "score": True}, "score"),
        ({"request_id": "r", "score": "1"}, "score"),
        ({"request_id": 7, "score": 1}, "request_id"),
        ({"request_id": "r", "score": 1, "comment": 3}, "comment"),
        ({"request_id": "r", "score": 1, "stars": 3}, "stars"),
    ],
)
async def test_feedback_that_makes_no_sense(stack, said, param):
    answer = await stack.post("/v1/feedback", said)
    assert (answer.status, answer.json["error"]["param"]) == (400, param)
    assert stack.reports == []


async def test_routing_pages_need_a_key(stack):
    lock(stack)
    for path, body in (("/v1/feedback", {}), ("/v1/route/explain", {})):
        assert (await stack.post(path, body)).status == 401
    assert (await stack.get("/v1/routing/state")).status == 401


async def test_no_key_of_a_provider_is_seen(stack, acme, bits):
    learned(stack, "acme/a")
    acme.will(*failing(1, 401))
    await stack.chat(model="acme/a")
    await stack.chat(model=AUTO)
    await stack.get("/v1/routing/state")
    await stack.get("/metrics")
    said = [f"{answer.headers} {answer.body!r}" for answer in stack.answers]
    said += [repr(vars(stack.router)), repr(stack.arms.rows())]
    assert not [text for text in said if ENVIRON["ACME_API_KEY"] in text]
