"""Personal data on its way through the gateway: out before a provider sees it, back for the client."""

import hashlib
import json
import re
import stat

import openai
import pytest

from serve_apps.gateway import privacy_desk
from tests.engines.providers.fake_provider import FakeProvider, says, stream
from tests.engines.providers.speeches import Said, Speech, event
from tests.serve_apps.fake_replica import ChatEvents as sse
from tests.serve_apps.test_gateway_routing import ANSWER, ENVIRON, arm, failing
from zoran_ray.messages import KeyInfo, KeySnapshot
from zoran_ray.privacy import FORM, VAULT_FILE, Finding
from zoran_ray.settings import PrivacyProfile, PrivacySettings

EMAIL, PHONE, CARD = "jean.canary@example.fr", "06 12 34 56 78", "4111 1111 1111 1111"
CANARIES = ("jean.canary", "12 34 56 78", "4111 1111")
TEXT = f"Write to {EMAIL} or call {PHONE}; card {CARD}. Again: {EMAIL}."
KEYS = {name: {"authorization": f"Bearer zk-{name}"} for name in ("acme", "strict", "free", "local")}
SETTINGS = PrivacySettings(
    profiles={
        "strict": PrivacyProfile(mode="reject"),
        "free": PrivacyProfile(mode="off"),
        "local": PrivacyProfile(mode="always"),
        "mail": PrivacyProfile(kinds=("EMAIL",)),
    },
    tenants={"strict": "strict", "free": "free", "local": "local"},
    plugins=("tests.serve_apps.test_gateway_privacy:Names",),
)


class Names:
    """Finds one name."""

    kinds = ("NAME",)

    def find(self, text):
        return [Finding("NAME", *match.span()) for match in re.finditer("Zéphyrine Canary", text)]


@pytest.fixture
async def acme():
    async with FakeProvider(Speech(), ENVIRON["ACME_API_KEY"]) as provider:
        yield provider


@pytest.fixture
async def stack(make_stack, acme, caplog):
    """A local model and a provider; afterwards no canary was sent to it, logged, counted or in an error."""
    stack = await make_stack(environ=ENVIRON, privacy=SETTINGS)
    replica = await stack.replica()
    replica.will(replica.whole(ANSWER))
    stack.catalogue(arm("acme/a", acme.url, fallbacks=["local/m"]))
    infos = (
        KeyInfo(f"k-{name}", name, hashlib.sha256(f"zk-{name}".encode()).hexdigest(), tenant=name)
        for name in KEYS
    )
    stack.door.update(KeySnapshot(1, tuple(infos)))
    yield stack
    told = [await stack._exposition(), caplog.text]
    told += [repr(vars(record)) for record in caplog.records]
    told += [answer.body.decode() for answer in stack.answers if answer.status >= 400]
    told += [repr(answer.headers) for answer in stack.answers]
    if not getattr(stack, "off", False):
        told += [seen.body.decode() for seen in acme.requests]
    for canary in (*CANARIES, "Zéphyrine"):
        assert not [text for text in told if canary in text]


def lock(name="acme"):
    return KEYS[name]


def asked(acme):
    """What the provider was told in the last message."""
    return acme.sent["messages"][-1]["content"]


def echo(**fields):
    """A step that answers with the last message that came."""

    async def step(request):
        body = await request.json()
        return await says(Said(Speech().chat(content=body["messages"][-1]["content"], **fields)))(request)

    return step


def echoed_stream(size):
    """The same as a stream, in pieces of `size` characters."""

    async def step(request):
        text = (await request.json())["messages"][-1]["content"]
        pieces = [text[place : place + size] for place in range(0, len(text), size)]
        events = [event(Speech().piece("/v1/chat/completions", piece)) for piece in pieces]
        events.append(event(Speech().piece("/v1/chat/completions", None, "stop")))
        return await stream(*events, b"data: [DONE]\n\n")(request)

    return step


async def ask(stack, text=TEXT, key="acme", **fields):
    fields = {"model": "acme/a", "messages": [{"role": "user", "content": text}], **fields}
    return await stack.chat(lock(key), **fields)


# -- there and back ------------------------------------------------------------------------------


async def test_a_provider_sees_placeholders_and_the_client_values(stack, acme):
    acme.will(echo())
    answer = await ask(stack, TEXT + " Zéphyrine Canary")
    assert [name.rpartition("_")[0] for name in FORM.findall(asked(acme))] == [
        "[EMAIL", "[PHONE", "[CARD", "[EMAIL", "[NAME"
    ]  # fmt: skip
    assert answer.json["choices"][0]["message"]["content"] == TEXT + " Zéphyrine Canary"
    assert answer.headers["x-zoran-privacy"] == "masked=5"
    assert answer.json["usage"]["prompt_tokens"] == 19
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert stack.counted("zoran_privacy_masked_total", kind="EMAIL") == 2
    assert stack.counted("zoran_privacy_masked_total", kind="other") == 1


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
async def test_a_stream_comes_back_whole(stack, acme, size):
    acme.will(echoed_stream(size))
    answer = await ask(stack, TEXT + " [EMAIL_", stream=True)
    assert answer.headers["x-zoran-privacy"] == "masked=4"
    events = [json.loads(line[6:]) for line in answer.body.decode().split("\n\n")[:-2]]
    assert answer.body.endswith(b"data: [DONE]\n\n")
    said = "".join(c["delta"].get("content") or "" for each in events for c in each["choices"])
    assert said == TEXT + " [EMAIL_"
    assert [c["finish_reason"] for each in events for c in each["choices"]][-1] == "stop"


async def test_openais_client_gets_values_and_tool_calls(stack, acme):
    async def step(request):
        name = FORM.search((await request.json())["messages"][-1]["content"])[0]
        piece = Speech().piece("/v1/chat/completions", None)
        calls = [
            {"index": 0, "id": "t", "type": "function", "function": {"name": "f", "arguments": '{"to": "'}}
        ]
        parts = [calls, *([{"index": 0, "function": {"arguments": char}}] for char in name + '"}')]
        events = []
        for part in parts:
            piece["choices"][0]["delta"] = {"tool_calls": part}
            events.append(event(piece))
        events.append(event(Speech().piece("/v1/chat/completions", None, "tool_calls")))
        return await stream(*events, b"data: [DONE]\n\n")(request)

    acme.will(step)
    async with openai.AsyncOpenAI(
        api_key="zk-acme", base_url=f"http://127.0.0.1:{stack.port}/v1", max_retries=0
    ) as client:
        arguments = ""
        chunks = await client.chat.completions.create(
            model="acme/a", messages=[{"role": "user", "content": TEXT}], stream=True
        )
        async for chunk in chunks:
            for call in chunk.choices[0].delta.tool_calls or ():
                arguments += call.function.arguments or ""
    assert json.loads(arguments) == {"to": EMAIL}


async def test_every_place_of_a_body_is_masked(stack, acme):
    call = {
        "id": "c1",
        "type": "function",
        "function": {"name": "f", "arguments": json.dumps({"to": [EMAIL]})},
    }
    answer = await ask(
        stack,
        user=EMAIL,
        tools=[{"type": "function", "function": {"name": "f", "description": TEXT, "parameters": {}}}],
        messages=[
            {"role": "system", "content": TEXT},
            {"role": "user", "name": EMAIL, "content": [{"type": "text", "text": TEXT}]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": json.dumps({"x": f"a\n{EMAIL}", "n": CARD})},
        ],
    )
    assert answer.status == 200
    shown = acme.sent["messages"]
    arguments = json.loads(shown[2]["tool_calls"][0]["function"]["arguments"])
    assert FORM.fullmatch(arguments["to"][0])
    assert json.loads(shown[3]["content"])["x"] == f"a\n{arguments['to'][0]}"
    assert acme.sent["user"] == shown[1]["name"] == arguments["to"][0]
    assert shown[2]["tool_calls"][0]["id"] == shown[3]["tool_call_id"] == "c1"


async def test_embeddings_are_masked_and_told(stack, acme):
    answer = await stack.post("/v1/embeddings", {"model": "acme/a", "input": [TEXT, "b"]}, lock())
    assert answer.status == 200
    assert FORM.search(acme.sent["input"][0])
    assert answer.headers["x-zoran-privacy"] == "masked=4"
    assert answer.json["data"][0]["embedding"] == [0.1, -0.2]


async def test_json_answers_stay_json(stack, acme):
    key = f"-----BEGIN PRIVATE KEY-----\n{'A1b2C3' * 12}\n-----END PRIVATE KEY-----"

    async def step(request):
        name = FORM.search((await request.json())["messages"][-1]["content"])[0]
        return await says(Said(Speech().chat(content=json.dumps({"key": name}))))(request)

    acme.will(step)
    answer = await ask(stack, key, response_format={"type": "json_object"})
    assert json.loads(answer.json["choices"][0]["message"]["content"]) == {"key": key}


async def test_text_without_personal_data_passes_untouched(stack, acme):
    acme.will(echo(), echo(), echo())
    answer = await ask(stack, "What is 2 + 2? [EMAIL_aaaaaaaaaaaaaaaa]")
    assert asked(acme) == "What is 2 + 2? [EMAIL_aaaaaaaaaaaaaaaa]"
    assert "x-zoran-privacy" not in answer.headers
    assert answer.json["choices"][0]["message"]["content"] == asked(acme)


# -- turns, tenants, placeholders ----------------------------------------------------------------


async def test_the_next_turn_has_the_same_placeholders(stack, acme):
    acme.will(echo(), echo())
    first = await ask(stack)
    sent = asked(acme)
    said = first.json["choices"][0]["message"]["content"]
    second = await ask(
        stack, messages=[{"role": "assistant", "content": said}, {"role": "user", "content": TEXT}]
    )
    assert [each["content"] for each in acme.sent["messages"]] == [sent, sent]
    assert second.json["choices"][0]["message"]["content"] == TEXT


async def test_a_placeholder_of_ones_own_comes_back_and_one_of_others_does_not(stack, acme):
    acme.will(echo(), echo(), echo())
    await ask(stack, EMAIL)
    name = asked(acme)
    again = await ask(stack, f"Who is {name}?")
    assert asked(acme) == f"Who is {name}?"
    assert again.json["choices"][0]["message"]["content"] == f"Who is {EMAIL}?"
    assert "x-zoran-privacy" not in again.headers
    other = await ask(stack, f"Who is {name}?", key="local")
    assert other.json["choices"][0]["message"]["content"] == f"Who is {name}?"


async def test_a_placeholder_that_only_the_answer_brings_stays(stack, acme):
    acme.will(echo())
    await ask(stack, EMAIL)
    name = asked(acme)
    acme.will(says(Said(Speech().chat(content=f"{name} said so"))))
    answer = await ask(stack, PHONE)
    assert answer.json["choices"][0]["message"]["content"] == f"{name} said so"


async def test_an_answer_that_goes_on_from_one_kept_elsewhere(stack):
    acme_name = (await stack.post("/v1/privacy/mask", {"text": EMAIL}, lock("local"))).json["text"]
    replica = stack.replicas["r1"]
    replica.will(replica.whole({"id": "resp_2", "output": [{"content": [{"text": f"to {acme_name}"}]}]}))
    body = {"model": "m", "input": f"and {PHONE}", "previous_response_id": "resp_1"}
    answer = await stack.post("/v1/responses", body, lock("local"))
    assert answer.json["output"][0]["content"][0]["text"] == f"to {EMAIL}"
    assert replica.requests[-1].json["previous_response_id"] == "resp_1"


# -- profiles ------------------------------------------------------------------------------------


async def test_a_local_model_sees_the_clients_bytes(stack, monkeypatch):
    monkeypatch.setattr(privacy_desk, "with_request_changed", None)  # nothing may look
    raw = b'{ "model":"m",  "messages":[{"role":"user","content":"%s"}]}' % TEXT.encode()
    answer = await stack.post("/v1/chat/completions", raw, lock())
    assert answer.status == 200
    assert stack.replicas["r1"].requests[0].json["messages"][0]["content"] == TEXT
    assert b'"messages":[{"role":"user","content":"' in stack.replicas["r1"].requests[0].body
    assert "x-zoran-privacy" not in answer.headers


@pytest.mark.parametrize("endpoint", ["/v1/messages", "/v1/responses"])
async def test_streams_of_the_other_dialects(stack, endpoint):
    replica = stack.replicas["r1"]
    name = (await stack.post("/v1/privacy/mask", {"text": EMAIL}, lock("local"))).json["text"]
    if endpoint == "/v1/messages":
        asked = {"messages": [{"role": "user", "content": EMAIL}], "max_tokens": 9}
        pieces = [
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
            for piece in (name[:9], name[9:], "[EM")
        ]
        pieces += [{"type": "content_block_stop", "index": 0}, {"type": "message_stop"}]
    else:
        asked, kind = {"input": EMAIL}, "response.output_text"
        pieces = [
            {"type": f"{kind}.delta", "output_index": 0, "content_index": 0, "delta": piece}
            for piece in (name[:9], name[9:], "[EM")
        ]
        pieces += [
            {"type": f"{kind}.done", "output_index": 0, "content_index": 0, "text": name + "[EM"},
            {"type": "response.completed", "response": {"output": []}},
        ]
    replica.will(
        replica.stream(
            *(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in pieces)
        )
    )
    answer = await stack.post(endpoint, {"model": "m", "stream": True, **asked}, lock("local"))
    assert EMAIL not in replica.requests[-1].body.decode()
    events = [json.loads(each.split("data: ")[1]) for each in answer.body.decode().split("\n\n")[:-1]]
    kinds = [each["type"] for each in events]
    assert kinds[:4] == [pieces[0]["type"]] * 4, "what is held back comes before the end"
    assert kinds[4:] == [each["type"] for each in pieces[3:]]
    deltas = [each["delta"] for each in events[:4]]
    assert "".join(each if isinstance(each, str) else each["text"] for each in deltas) == EMAIL + "[EM"


async def test_always_masks_for_local_models_too(stack):
    replica = stack.replicas["r1"]
    name = (await stack.post("/v1/privacy/mask", {"text": EMAIL}, lock("local"))).json["text"]
    replica.will(replica.stream(sse.say(name[:9]), sse.say(name[9:]), sse.USAGE, sse.DONE))
    answer = await stack.chat(lock("local"), stream=True, messages=[{"role": "user", "content": TEXT}])
    assert not [canary for canary in CANARIES if canary in replica.requests[-1].body.decode()]
    events = [json.loads(line[6:]) for line in answer.body.decode().split("\n\n")[:-2]]
    assert "".join(each["choices"][0]["delta"]["content"] for each in events) == EMAIL
    assert answer.headers["x-zoran-privacy"] == "masked=4"
    assert stack.counted("zoran_tokens_total", kind="output", model="local/m") == 3


@pytest.mark.parametrize("model", ["m", "acme/a"])
async def test_reject_refuses_by_kind(stack, acme, model):
    answer = await ask(stack, key="strict", model=model)
    assert (answer.status, answer.code) == (403, "permission_denied")
    assert "CARD × 1, EMAIL × 2, PHONE × 1" in answer.json["error"]["message"]
    assert not acme.requests
    assert not stack.replicas["r1"].requests
    assert (await ask(stack, "2+2", key="strict", model=model)).status == 200


async def test_off_looks_at_nothing(stack, acme):
    stack.off = True
    await ask(stack, key="free")
    assert asked(acme) == TEXT


async def test_a_fallback_to_a_local_model_sees_the_values(stack, acme):
    acme.will(*failing(9))
    answer = await ask(stack)
    assert answer.status == 200
    assert answer.headers["x-zoran-model"] == "local/m"
    assert "x-zoran-privacy" not in answer.headers
    assert stack.replicas["r1"].requests[0].json["messages"][0]["content"] == TEXT
    assert len(acme.requests) > 1
    assert stack.counted("zoran_privacy_masked_total", kind="CARD") == 1, "masked once for all tries"


# -- trouble -------------------------------------------------------------------------------------


async def test_without_its_vault_nothing_is_sent(make_stack, acme, tmp_path):
    stack = await make_stack(environ=ENVIRON)
    (tmp_path / "0" / "privacy").write_text("no folder")
    stack.catalogue(arm("acme/a", acme.url))
    answer = await stack.chat(model="acme/a", messages=[{"role": "user", "content": TEXT}])
    assert (answer.status, answer.code) == (503, "service_unavailable")
    assert "nothing was sent" in answer.json["error"]["message"]
    assert "x-zoran-privacy" not in answer.headers
    assert not acme.requests
    assert stack.arms.usable("acme/a"), "it is not the provider's fault"


async def test_a_stream_that_breaks_off_says_what_it_held(stack, acme):
    piece = Speech().piece("/v1/chat/completions", "ends in [EMAIL_ab")
    acme.will(stream(event(piece), then="cut"))
    answer = await ask(stack, stream=True)
    events = [json.loads(line[6:]) for line in answer.body.decode().split("\n\n")[:-2]]
    said = "".join(each["choices"][0]["delta"]["content"] for each in events if "choices" in each)
    assert said == "ends in [EMAIL_ab"
    assert events[-1]["error"]["code"] == "upstream_error"


async def test_a_provider_that_quotes_the_prompt_quotes_placeholders(stack, acme):
    async def step(request):
        text = (await request.json())["messages"][-1]["content"]
        return await says(
            Said({"error": {"message": f"bad: {text}", "type": "invalid_request_error"}}, 400)
        )(request)

    acme.will(step)
    answer = await ask(stack)
    assert answer.status == 400


async def test_large_texts_are_masked_in_a_thread_and_bounded(stack, acme, monkeypatch):
    acme.will(echo())
    text = f"{EMAIL} " + "word " * 20_000
    answer = await ask(stack, text)
    assert answer.json["choices"][0]["message"]["content"] == text
    monkeypatch.setattr(privacy_desk, "MOST_WAITING", 0)
    assert (await ask(stack, text, model="acme/a")).headers["x-zoran-model"] == "local/m"
    answer = await stack.post("/v1/privacy/mask", {"text": text}, lock())
    assert (answer.status, answer.code) == (503, "overloaded")


# -- routes --------------------------------------------------------------------------------------


async def test_masking_and_unmasking_by_route(stack, tmp_path):
    masked = await stack.post("/v1/privacy/mask", {"text": TEXT}, lock())
    found = masked.json["findings"]
    assert masked.json["object"] == "privacy.mask"
    assert [each["kind"] for each in found] == ["EMAIL", "PHONE", "CARD", "EMAIL"]
    assert all(TEXT[each["start"] : each["end"]] in (EMAIL, PHONE, CARD) for each in found)
    assert all(each["placeholder"] in masked.json["text"] for each in found)
    told = masked.json["text"]
    back = await stack.post("/v1/privacy/unmask", {"text": told}, lock())
    assert (back.json["object"], back.json["text"]) == ("privacy.unmask", TEXT)
    assert {each["placeholder"]: each["count"] for each in back.json["findings"]}[
        found[0]["placeholder"]
    ] == 2
    other = await stack.post("/v1/privacy/unmask", {"text": told}, lock("free"))
    assert (other.json["text"], other.json["findings"]) == (told, [])
    file = tmp_path / "0" / "privacy" / VAULT_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"canary" not in file.read_bytes()


async def test_kinds_can_be_chosen(stack):
    text = TEXT + " Zéphyrine Canary"
    for kinds, left in ((["EMAIL"], ["EMAIL", "EMAIL"]), (["NAME", "CARD"], ["CARD", "NAME"])):
        answer = await stack.post("/v1/privacy/mask", {"text": text, "kinds": kinds}, lock())
        assert [each["kind"] for each in answer.json["findings"]] == left


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "text"),
        ({"text": 1}, "text"),
        ({"text": "a", "kinds": []}, "kinds"),
        ({"text": "a", "kinds": "EMAIL"}, "kinds"),
        ({"text": "a", "kinds": [1]}, "kinds"),
        ({"text": "a", "kinds": ["FACE"]}, "kinds"),
        ({"text": "a", "tenant": "other"}, "tenant"),
    ],
)
async def test_what_the_routes_refuse(stack, body, param):
    answer = await stack.post("/v1/privacy/mask", body, lock())
    assert (answer.status, answer.json["error"]["param"]) == (400, param)


async def test_the_routes_want_a_key_and_a_body_of_sensible_size(make_stack, stack):
    assert (await stack.post("/v1/privacy/mask", {"text": "a"})).status == 401
    small = await make_stack(max_body_bytes=1024)
    assert (await small.post("/v1/privacy/unmask", {"text": "a" * 2000})).status == 413
