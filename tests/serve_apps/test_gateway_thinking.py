"""Strategies as models: what a client gets, what the model is asked, what it costs and what is kept."""

import asyncio
import hashlib
import json
import stat

import anthropic
import openai
import pytest

from serve_apps.gateway.strategies import BudgetFields
from tests.engines.providers.fake_provider import FakeProvider
from tests.engines.providers.speeches import TEXT, Speech
from tests.serve_apps.test_gateway_routing import ENVIRON, arm
from tests.serve_apps.thinking_stage import (
    PROMPT,
    STRATEGIES,
    answer,
    events_of,
    holds_branches,
    last_said,
    thinks,
)
from zoran_ray.journal import Kind
from zoran_ray.messages import KeyInfo, KeySnapshot
from zoran_ray.settings import PrivacyProfile, PrivacySettings

FORK = "zoran/fork"
CHAT = "/v1/chat/completions"


@pytest.fixture
async def stack(make_stack):
    return await make_stack(strategies=STRATEGIES)


@pytest.fixture
async def replica(stack):
    replica = await stack.replica()
    return replica.will(thinks(replica))


def keys(stack, **by_name):
    """Give the gateway keys; returns their headers."""
    infos = [
        KeyInfo(name, name, hashlib.sha256(f"zk-{name}".encode()).hexdigest(), **fields)
        for name, fields in by_name.items()
    ]
    stack.door.update(KeySnapshot(1, tuple(infos)))
    return {name: {"authorization": f"Bearer zk-{name}"} for name in by_name}


async def ask(stack, headers=None, model=FORK, **fields):
    messages = [{"role": "user", "content": PROMPT}]
    return await stack.post(CHAT, {"model": model, "messages": messages, **fields}, headers)


async def refused(stack, **fields):
    """Status, code and parameter of a request that is refused."""
    got = await ask(stack, **fields)
    return got.status, got.code, got.json["error"]["param"]


# -- whole answers and streams --------------------------------------------------------------------


async def test_a_whole_answer_has_the_thoughts_the_sum_and_the_trace(stack, replica):
    got = await ask(stack)
    body = got.json
    (choice,) = body["choices"]
    assert (got.status, body["object"], body["model"]) == (200, "chat.completion", FORK)
    assert (choice["message"]["content"], choice["message"]["reasoning"]) == ("leaf 0", "root\n")
    assert choice["finish_reason"] == "stop"
    assert body["usage"] == {
        "prompt_tokens": 80,
        "completion_tokens": 8,
        "total_tokens": 88,
        "prompt_tokens_details": {"cached_tokens": 36},
    }
    zoran = body["zoran"]
    assert zoran["trace_id"] == got.headers["x-zoran-trace-id"]
    assert {name: zoran[name] for name in ("ended", "verified", "calls", "model", "cached_tokens")} == {
        "ended": "done", "verified": None, "calls": 4, "model": "local/m", "cached_tokens": 36,
    }  # fmt: skip
    assert zoran["detail"]["votes"] == {"leaf 0": 1, "leaf 1": 1, "leaf 2": 1}
    assert got.headers["x-zoran-model"] == "local/m"
    assert got.headers["x-zoran-cost-usd"] == "0.000000000"
    assert stack.counted("zoran_tokens_total", kind="input", model="local/m") == 80
    assert stack.counted("zoran_tokens_total", kind="cached", model="local/m") == 36


async def test_what_the_model_is_asked(stack, replica):
    keyed = keys(stack, me={"tenant": "acme"})["me"]
    await ask(stack, keyed, top_p=0.9, chat_template_kwargs={"x": 1}, user="someone", temperature=1.5)
    first, *branches = [request.json for request in replica.requests]
    assert first["messages"] == [{"role": "user", "content": PROMPT}]
    assert (first["model"], first["temperature"], first["max_tokens"]) == ("local/m", 0.5, 8)
    assert (first["stop"], first["top_p"], first["chat_template_kwargs"]) == (["#"], 0.9, {"x": 1})
    assert not {"zoran", "stream", "n", "user"} & first.keys()
    assert {each["cache_salt"] for each in (first, *branches)} == {first["cache_salt"]}
    assert all(each["messages"][:-1] == first["messages"] for each in branches)
    ids = [request.headers["x-request-id"] for request in replica.requests]
    assert len(set(ids)) == 4


async def test_the_callers_longest_answer_bounds_each_call(stack, replica):
    await ask(stack, max_tokens=5)
    assert {request.json["max_tokens"] for request in replica.requests} == {5}


async def test_thoughts_stream_while_the_strategy_thinks(stack, replica):
    go_on = asyncio.Event()
    replica.will(thinks(replica, waits=go_on))
    seen = []
    body = {"model": FORK, "stream": True, "messages": [{"role": "user", "content": PROMPT}]}
    async with stack._client.stream("POST", CHAT, json=body) as response:
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                seen.append(json.loads(line[6:]))
            if len(seen) == 2:
                # The first thought is here, and no branch has been answered.
                assert seen[1]["choices"][0]["delta"] == {"reasoning": "root\n"}
                go_on.set()
    assert seen[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    thoughts = [each["zoran"] for each in seen if "id" in each.get("zoran", {})]
    assert [(each["id"], each["parent"]) for each in thoughts] == [(1, 0), (2, 1), (3, 1), (4, 1)]
    assert {each["strategy"] for each in thoughts} == {"fork"}
    assert [each["kind"] for each in thoughts] == ["thought", "answer", "answer", "answer"]
    assert [each["tokens"] for each in thoughts] == [22] * 4
    assert [each["cached_tokens"] for each in thoughts] == [0, 12, 12, 12]
    assert {each["cost_usd"] for each in thoughts} == {0.0}
    assert sorted(each["text"] for each in thoughts[1:]) == ["leaf 0", "leaf 1", "leaf 2"]
    said, end = seen[-2:]
    assert said["choices"][0]["delta"] == {"content": "leaf 0"}
    assert end["choices"][0]["finish_reason"] == "stop"
    assert end["zoran"]["calls"] == 4
    assert "usage" not in end


async def test_openais_client_reads_the_stream(stack, replica):
    async with _openai(stack) as client:
        chunks = [
            chunk
            async for chunk in await client.chat.completions.create(
                model=FORK,
                messages=[{"role": "user", "content": PROMPT}],
                stream=True,
                stream_options={"include_usage": True},
                extra_body={"zoran": {"strategy": {"width": 2}}},
            )
        ]
        whole = await client.chat.completions.create(
            model=FORK, messages=[{"role": "user", "content": PROMPT}]
        )
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert "".join(getattr(delta, "reasoning", None) or "" for delta in deltas) == "root\n"
    assert "".join(delta.content or "" for delta in deltas) == "leaf 0"
    assert chunks[-1].usage.total_tokens == 66
    assert whole.choices[0].message.reasoning == "root\n"


async def test_openais_client_reads_a_response(stack, replica):
    async with _openai(stack) as client:
        async with client.responses.stream(model=FORK, input=PROMPT, instructions="Be brief.") as events:
            seen = [event async for event in events]
            final = await events.get_final_response()
        whole = await client.responses.create(model=FORK, input=[{"role": "user", "content": PROMPT}])
    assert final.output_text == whole.output_text == "leaf 0"
    assert (final.usage.total_tokens, final.usage.input_tokens_details.cached_tokens) == (88, 36)
    thoughts = [item for item in final.output if item.type == "reasoning"]
    assert [item.content[0].text for item in thoughts] == ["root\n", "", "", ""]
    assert thoughts[1].zoran["parent"] == 1
    assert [event.sequence_number for event in seen if event.type.startswith("response.")][:3] == [0, 1, 2]
    assert [item.type for item in whole.output] == ["reasoning", "message"]
    assert replica.requests[0].json["messages"][0] == {"role": "system", "content": "Be brief."}


async def test_anthropics_client_reads_a_message(stack, replica):
    async with anthropic.AsyncAnthropic(
        api_key="x", base_url=f"http://127.0.0.1:{stack.port}", max_retries=0
    ) as client:
        asked = {
            "model": FORK,
            "max_tokens": 50,
            "system": "Be brief.",
            "messages": [{"role": "user", "content": [{"type": "text", "text": PROMPT}]}],
        }
        async with client.messages.stream(**asked) as events:
            final = await events.get_final_message()
        whole = await client.messages.create(**asked)
    kinds = [block.type for block in final.content]
    assert kinds == ["thinking", "thinking", "thinking", "thinking", "text"]
    assert (final.content[0].thinking, final.content[-1].text) == ("root\n", "leaf 0")
    assert (final.stop_reason, final.usage.input_tokens) == ("end_turn", 44)
    assert (final.usage.cache_read_input_tokens, final.usage.output_tokens) == (36, 8)
    assert [block.type for block in whole.content] == ["thinking", "text"]
    assert whole.zoran["calls"] == 4
    first, again = replica.requests[0].json, replica.requests[4].json
    assert first["messages"] == again["messages"]
    assert first["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": PROMPT},
    ]


async def test_pictures_and_earlier_thoughts_in_messages(stack, replica):
    picture = {"type": "base64", "media_type": "image/png", "data": "aGk="}
    turns = [
        {"role": "user", "content": [{"type": "image", "source": picture}, {"type": "text", "text": "?"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": ""},
                {"type": "text", "text": "A cat."},
            ],
        },
        {"role": "user", "content": "Sure?"},
    ]
    got = await stack.post("/v1/messages", {"model": FORK, "max_tokens": 50, "messages": turns})
    assert got.status == 200
    seen = replica.requests[0].json["messages"]
    assert seen[0]["content"][0] == {
        "type": "image_url",
        "image_url": {"url": "data:image/png;base64,aGk="},
    }
    assert seen[1:] == [
        {"role": "assistant", "content": "A cat."},
        {"role": "user", "content": "Sure?"},
    ]


async def test_several_answers_of_one_call(stack, replica):
    got = await ask(stack, model="zoran/many")
    assert replica.requests[0].json["n"] == 3
    assert got.json["choices"][0]["message"]["content"] == "root root root"
    assert got.json["zoran"]["calls"] == 1


async def test_an_answer_is_verified(stack, replica):
    right = await ask(stack, zoran={"verifier": {"kind": "is", "text": "leaf 0"}})
    wrong = await ask(stack, zoran={"verifier": {"kind": "is", "text": "5"}})
    assert (right.json["zoran"]["verified"], wrong.json["zoran"]["verified"]) == (True, False)
    assert all("verifier" not in request.body.decode() for request in replica.requests)


# -- names and refusals ----------------------------------------------------------------------------


async def test_strategies_are_among_the_models(stack, replica):
    names = [row["id"] for row in (await stack.get("/v1/models")).json["data"]]
    assert names == ["local/m", "zoran/auto", *STRATEGIES.names()]
    for name in (FORK, f"{FORK}:local/m"):
        row = (await stack.get(f"/v1/models/{name}")).json
        assert (row["id"], row["zoran"]["description"]) == (FORK, "Three branches.")


@pytest.mark.parametrize("said", ["name", "alias", "body"])
async def test_the_inner_model_can_be_named(stack, replica, said):
    fields = {"name": {"model": f"{FORK}:local/m"}, "alias": {"model": f"{FORK}:m"}}
    body = {"zoran": {"model": "local/m"}}
    got = await ask(stack, **fields.get(said, body))
    assert got.status == 200
    assert got.json["zoran"]["model"] == "local/m"


async def test_a_key_needs_both_names(stack, replica):
    headers = keys(
        stack,
        both={"models": ("zoran/fork", "local/*")},
        inner={"models": ("local/*",)},
        outer={"models": ("zoran/*",)},
    )
    both = await ask(stack, headers["both"])
    inner = await ask(stack, headers["inner"])
    outer = await ask(stack, headers["outer"], model=f"{FORK}:m")
    nobody = await ask(stack, headers["outer"])
    assert [got.status for got in (both, inner, outer, nobody)] == [200, 403, 403, 404]
    listed = {
        name: [row["id"] for row in (await stack.get("/v1/models", headers[name])).json["data"]]
        for name in headers
    }
    assert listed == {
        "both": ["local/m", "zoran/auto", "zoran/fork"],
        "inner": ["local/m", "zoran/auto"],
        "outer": [],
    }


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"model": "zoran/fork2"}, (404, "model_not_found", "model")),
        ({"model": "zoran/fork:nobody"}, (404, "model_not_found", "model")),
        ({"model": "zoran/fork:zoran/auto"}, (400, "invalid_value", "model")),
        ({"model": "zoran/fork:zoran/many"}, (400, "invalid_value", "model")),
        (
            {"model": "zoran/fork:m", "zoran": {"model": "x"}},
            (400, "invalid_value", "zoran.model"),
        ),
        ({"zoran": {"strategy": {"colour": 1}}}, (400, "invalid_value", "zoran.strategy.colour")),
        ({"zoran": {"strategy": 3}}, (400, "invalid_value", "zoran.strategy")),
        ({"zoran": {"verifier": {"kind": "x"}}}, (400, "invalid_value", "zoran.verifier.kind")),
        ({"zoran": {"verifier": {"kind": "is"}}}, (400, "invalid_value", "zoran.verifier")),
        ({"zoran": {"speed": 1}}, (400, "invalid_value", "zoran.speed")),
        ({"zoran": {"budget": {"tokens": 0}}}, (400, "invalid_value", "zoran.budget.tokens")),
        ({"zoran": {"budget": {"usd": -1}}}, (400, "invalid_value", "zoran.budget.usd")),
        ({"zoran": {"budget": {"wall_s": "1"}}}, (400, "invalid_value", "zoran.budget.wall_s")),
        ({"zoran": {"budget": {"tokens": 9}}}, (400, "invalid_value", "zoran.budget.tokens")),
        ({"n": 2}, (400, "invalid_value", "n")),
        ({"tools": [{"type": "function"}]}, (400, "invalid_value", "tools")),
        ({"response_format": {"type": "json_object"}}, (400, "invalid_value", "response_format")),
        ({"messages": [{"role": "tool", "content": "4"}]}, (400, "invalid_value", "messages[0]")),
        ({"messages": ["hi"]}, (400, "invalid_value", "messages[0]")),
    ],
)
async def test_what_cannot_be_done_is_refused_by_name(stack, replica, fields, found):
    body = {"model": FORK, "messages": [{"role": "user", "content": PROMPT}], **fields}
    got = await stack.post(CHAT, body)
    assert (got.status, got.code, got.json["error"]["param"]) == found
    streamed = await stack.post(CHAT, {**body, "stream": True})
    assert streamed.status == found[0]
    assert not replica.requests
    await stack.traces.last_words()
    assert not stack.told


async def test_an_unknown_strategy_is_told_which_there_are(stack, replica):
    assert "zoran/fork" in (await ask(stack, model="zoran/nothing")).json["error"]["message"]


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/embeddings"])
async def test_there_must_be_a_conversation(stack, replica, path):
    got = await stack.post(path, {"model": FORK, "prompt": "x", "input": "x"})
    assert (got.status, got.json["error"]["param"]) == (400, "model")


async def test_the_other_dialects_refuse_in_their_own_words(stack, replica):
    body = {"model": FORK, "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
    got = await stack.post("/v1/messages", {**body, "tools": [{"name": "t"}]})
    assert (got.status, got.json["type"]) == (400, "error")
    got = await stack.post("/v1/responses", {"model": FORK, "input": "x", "previous_response_id": "r"})
    assert (got.status, got.json["error"]["param"]) == (400, "previous_response_id")


# -- budgets and money ------------------------------------------------------------------------------


async def test_a_budget_that_runs_out_gives_the_best_so_far(stack, replica):
    got = await ask(stack, zoran={"budget": {"calls": 2}})
    assert got.json["choices"][0]["message"]["content"] == "root"
    assert got.json["choices"][0]["finish_reason"] == "length"
    assert got.json["zoran"]["ended"] == "budget:calls"
    messages = await stack.post(
        "/v1/messages",
        {
            "model": FORK, "max_tokens": 9, "zoran": {"budget": {"calls": 2}},
            "messages": [{"role": "user", "content": PROMPT}],
        },
    )  # fmt: skip
    assert messages.json["stop_reason"] == "max_tokens"


async def test_prompts_are_taken_for_what_they_were_before(stack, replica):
    """A first prompt counts its bytes; later ones what the engine counted, with room."""
    budget = {"zoran": {"budget": {"tokens": 60}}}
    assert (await ask(stack, **budget)).status == 400
    await ask(stack)
    assert (await ask(stack, **budget)).status == 200


async def test_calls_at_the_same_time_are_set_aside_one_beside_the_other(stack, replica):
    stack.catalogue(usd_per_million_input=1, usd_per_million_output=2)
    key = keys(stack, me={"usd_per_day": 1.0})["me"]
    got = await ask(stack, key)
    # 80 tokens of prompts, of which those that were cached have no price of their own, and 8 made.
    assert got.json["zoran"]["cost_usd"] == pytest.approx(96e-6)
    assert got.headers["x-zoran-cost-usd"] == "0.000096000"
    await stack.spending.flush(5)
    assert len(stack.spending) == 0
    assert (await stack.authority.spent("me")).total == 96_000


async def test_a_keys_budget_for_one_request_holds_for_all_calls_together(stack, replica):
    stack.catalogue(usd_per_million_input=1, usd_per_million_output=2)
    # A branch may cost at most 159 micro-USD (a token for each byte): one fits beside the root, two do not.
    key = keys(stack, me={"usd_per_request": 0.0003})["me"]
    got = await ask(stack, key)
    assert got.status == 200
    assert got.json["zoran"]["ended"] == "budget:usd"
    assert got.json["choices"][0]["message"]["content"] == "root"
    poor = keys(stack, me={"usd_per_request": 0.00001})["me"]
    refused = await ask(stack, poor)
    assert (refused.status, refused.code) == (402, "budget_exceeded")
    await stack.spending.flush(5)
    assert len(stack.spending) == 0


async def test_the_callers_own_budget_in_money(stack, replica):
    stack.catalogue(usd_per_million_input=1, usd_per_million_output=2)
    got = await ask(stack, zoran={"budget": {"usd": 0.000001}})
    assert (got.status, got.json["error"]["param"]) == (400, "zoran.budget.usd")
    got = await ask(stack, zoran={"budget": {"usd": 0.00015}})
    assert got.json["zoran"]["ended"] == "budget:usd"


async def test_time_runs_out(stack, replica):
    replica.will(replica.hold())
    got = await ask(stack, zoran={"budget": {"wall_s": 0.05}})
    assert (got.status, got.json["error"]["param"]) == (504, "zoran.budget.wall_s")
    step, _ = holds_branches(replica)
    replica.will(step)
    got = await ask(stack, zoran={"budget": {"wall_s": 0.3}})
    assert got.json["zoran"]["ended"] == "budget:wall_s"
    assert got.json["choices"][0]["message"]["content"] == "root"


async def test_tokens_count_towards_the_rate_limit(stack, replica):
    key = keys(stack, me={"tokens_per_min": 200})["me"]
    assert (await ask(stack, key, max_tokens=1, zoran={"budget": {"tokens": 190}})).status == 200
    again = await ask(stack, key, max_tokens=1, zoran={"budget": {"tokens": 190}})
    assert (again.status, again.code) == (429, "rate_limit_exceeded")


# -- replicas and providers ------------------------------------------------------------------------


async def test_all_calls_of_a_request_go_to_one_replica(stack):
    replicas = [await stack.replica(name) for name in ("r1", "r2", "r3")]
    for each in replicas:
        each.will(thinks(each))
    await ask(stack, zoran={"strategy": {"width": 24}})
    assert sorted(len(each.requests) for each in replicas) == [0, 0, 25]
    before = [len(each.requests) for each in replicas]
    await ask(stack)
    after = [len(each.requests) for each in replicas]
    assert [now - then for now, then in zip(after, before, strict=True)].count(4) == 1


async def test_branches_of_a_lost_replica_go_on_at_another_one_together(stack):
    replicas = {name: await stack.replica(name) for name in ("r1", "r2", "r3")}
    for each in replicas.values():
        each.will(thinks(each), each.hang_up())
    got = await ask(stack, zoran={"strategy": {"width": 8}})
    assert got.status == 502
    for each in replicas.values():
        each.will(thinks(each))
        each.requests.clear()
    home = None

    def lost(each):
        async def step(reader, writer):
            nonlocal home
            if not last_said(each.requests[-1]).startswith("branch"):
                home = each
            elif each is home:
                return False
            return await thinks(each)(reader, writer)

        return step

    for each in replicas.values():
        each.will(lost(each))
    await asyncio.sleep(0)
    got = await ask(stack, zoran={"strategy": {"width": 8}})
    assert got.status == 200
    others = [len(each.requests) for each in replicas.values() if each is not home]
    assert sorted(others) == [0, 8]


async def test_an_engine_that_refuses_is_heard(stack, replica):
    error = {"error": {"message": "Too long.", "type": "BadRequestError", "param": None, "code": 400}}
    replica.will(replica.whole(error, 400))
    got = await ask(stack)
    assert (got.status, "Too long." in got.json["error"]["message"]) == (400, True)


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"choices":[]}', b'{"choices":[{"message":3}]}'])
async def test_an_engine_that_answers_nonsense(stack, replica, body):
    replica.will(replica.whole(body))
    got = await ask(stack)
    assert (got.status, got.code) == (502, "upstream_error")


async def test_failing_half_way_ends_the_stream_with_an_error(stack, replica):
    replica.will(replica.whole(answer("root")), replica.whole(b"{"))
    got = await ask(stack, stream=True)
    assert got.status == 200
    events = events_of(got.body)
    assert events[1]["choices"][0]["delta"] == {"reasoning": "root\n"}
    assert events[-1]["error"]["code"] == "upstream_error"
    assert got.body.endswith(b"data: [DONE]\n\n")


async def test_a_strategy_that_breaks_says_nothing_of_the_prompt(stack, replica):
    got = await ask(stack, model="zoran/broken")
    assert (got.status, got.code) == (500, "internal_error")
    assert PROMPT not in got.body.decode()


@pytest.mark.parametrize("provider", ["openai_compatible", "ollama"])
async def test_a_providers_model_is_asked_and_paid(make_stack, provider):
    async with FakeProvider(Speech(), ENVIRON["ACME_API_KEY"]) as acme:
        stack = await make_stack(strategies=STRATEGIES, environ=ENVIRON)
        stack.catalogue(arm("acme/a", acme.url, provider=provider))
        key = keys(stack, me={"usd_per_day": 1.0})["me"]
        got = await ask(stack, key, model=f"{FORK}:acme/a")
        assert got.json["choices"][0]["message"]["content"] == TEXT
        assert got.json["zoran"]["calls"] == 4
        cost = got.json["zoran"]["cost_usd"]
        assert cost > 0
        assert len(acme.requests) == 4
        await stack.spending.flush(5)
        assert len(stack.spending) == 0
        many = await ask(stack, key, model="zoran/many:acme/a")
        assert many.json["zoran"]["calls"] == (1 if provider == "openai_compatible" else 3)


# -- leaving ----------------------------------------------------------------------------------------


async def test_leaving_cuts_every_branch_and_spends_nothing_more(stack, replica):
    stack.catalogue(usd_per_million_input=1, usd_per_million_output=2)
    key = keys(stack, me={"usd_per_day": 1.0})["me"]
    step, state = holds_branches(replica)
    replica.will(step)
    body = {"model": FORK, "stream": True, "messages": [{"role": "user", "content": PROMPT}]}
    raw = json.dumps({**body, "zoran": {"strategy": {"width": 5}}}).encode()
    sent = []

    async def receive():
        return {"type": "http.request", "body": raw, "more_body": False}

    async def send(message):
        sent.append(message)

    headers = [(b"authorization", key["authorization"].encode())]
    scope = {"type": "http", "method": "POST", "path": CHAT, "headers": headers}
    task = asyncio.create_task(stack.gateway(scope, receive, send))
    async with asyncio.timeout(10):
        while state["open"] < 5:
            await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(10):
        while state["cut"] < 5:
            await asyncio.sleep(0.001)
    assert len(replica.requests) == 6
    await stack.spending.flush(5)
    assert len(stack.spending) == 0
    assert stack.counted("zoran_client_disconnects_total", model="local/m") == 1
    assert stack.counted("zoran_tokens_total", kind="input", model="local/m") == 20
    await stack.traces.last_words()
    assert stack.told[-1].meta["ended"] == "cancelled"


async def test_a_strategy_that_will_not_end_asks_nobody_any_more(stack, replica, monkeypatch):
    monkeypatch.setattr("serve_apps.gateway.thinking._STOP_S", 0.05)
    replica.will(replica.hold())
    body = {"model": "zoran/stubborn", "messages": [{"role": "user", "content": PROMPT}]}
    task = asyncio.create_task(stack.post(CHAT, body))
    await replica.asked.wait()
    (served,) = stack.uvicorn.tasks
    served.cancel()
    await replica.aborted.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    for _ in range(20):
        await asyncio.sleep(0.005)
    assert len(replica.requests) == 1


# -- traces -----------------------------------------------------------------------------------------


async def test_a_trace_can_be_fetched_by_its_tenant_and_deleted(stack, replica):
    headers = keys(stack, a={"tenant": "acme"}, b={"tenant": "acme"}, c={"tenant": "other"})
    got = await ask(stack, headers["a"], zoran={"budget": {"calls": 9}})
    path = f"/v1/traces/{got.json['zoran']['trace_id']}"
    for written in (False, True):
        if written:
            await stack.traces.flush()
        trace = (await stack.get(path, headers["b"])).json
        assert (trace["object"], trace["model"], trace["ended"]) == ("trace", FORK, "done")
        assert trace["asked"] == {"budget": {"calls": 9}}
        assert trace["steps"][0]["text"] == "root"
        assert len(trace["calls"]) == 4
        assert trace["calls"][0]["answer"]["choices"][0]["text"] == "root"
        assert trace["calls"][0]["messages"][0]["content"] == PROMPT
        assert (await stack.get(path, headers["c"])).status == 404
        assert (await stack.get(path)).status == 401
    assert (await stack.post(path, None, headers["c"], "DELETE")).status == 404
    assert (await stack.post(path, None, headers["a"], "DELETE")).json["deleted"] is True
    assert (await stack.get(path, headers["a"])).status == 404
    for nothing in ("trace-1", "..%2f..%2fkeys.sqlite", "trace-" + "0" * 32):
        assert (await stack.get(f"/v1/traces/{nothing}", headers["a"])).status == 404


async def test_the_journal_hears_numbers_and_a_hash_and_no_word(stack, replica):
    key = keys(stack, a={"tenant": "acme"})["a"]
    got = await ask(stack, key)
    await stack.traces.last_words()
    (event,) = stack.told
    data = (await stack.get(f"/v1/traces/{got.json['zoran']['trace_id']}", key)).body
    assert (event.kind, event.tenant) == (Kind.REASONING_TRACE, "acme")
    assert event.meta["sha256"] == hashlib.sha256(data).hexdigest()
    assert (event.meta["calls"], event.meta["steps"], event.meta["cached_tokens"]) == (4, 4, 36)
    assert (event.meta["strategy"], event.meta["model"]) == ("fork", "local/m")
    assert PROMPT not in repr(event)
    (folder,) = stack.trace_folder._folder.iterdir()
    (file,) = folder.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_a_full_disk_loses_the_trace_and_not_the_answer(stack, replica, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stack.trace_folder, "write", full)
    got = await ask(stack)
    await stack.traces.flush()
    assert got.status == 200
    assert not stack.told


# -- privacy ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True])
async def test_personal_data_is_masked_for_every_call_and_put_back(make_stack, streamed):
    email = "jean.canary@example.fr"
    privacy = PrivacySettings(profiles={"default": PrivacyProfile(mode="always")})
    stack = await make_stack(strategies=STRATEGIES, privacy=privacy)
    replica = await stack.replica()
    first = []

    def say(said):
        first.append(said)
        return f"Mail {first[0].split()[-1]}"

    replica.will(thinks(replica, say=say))
    asked = [{"role": "user", "content": f"Write to {email}"}]
    got = await ask(stack, messages=asked, stream=streamed)
    assert all(email not in request.body.decode() for request in replica.requests)
    if streamed:
        deltas = [event["choices"][0]["delta"] for event in events_of(got.body)]
        said = "".join(delta.get("content", "") for delta in deltas)
        thought = "".join(delta.get("reasoning", "") for delta in deltas)
    else:
        message = got.json["choices"][0]["message"]
        said, thought = message["content"], message["reasoning"]
    assert (said, thought.strip()) == (f"Mail {email}", f"Mail {email}")
    await stack.traces.flush()
    trace = await stack.get(f"/v1/traces/{got.headers['x-zoran-trace-id']}")
    assert email not in trace.body.decode()


def _openai(stack):
    return openai.AsyncOpenAI(api_key="x", base_url=f"http://127.0.0.1:{stack.port}/v1", max_retries=0)


def test_budgets_are_exact_amounts():
    assert BudgetFields(usd=0.0003).budget().nano_usd == 300_000
