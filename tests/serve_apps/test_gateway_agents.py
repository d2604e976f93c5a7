"""`zoran/agents` at a gateway: who answers, what is asked in whose name, what is learned of it."""

import asyncio
import json

import pytest

from tests.engines.providers.fake_provider import FakeProvider
from tests.engines.providers.speeches import Speech
from tests.serve_apps.agents_stage import STRATEGIES, FullLink, LocalLink
from tests.serve_apps.test_gateway_routing import ENVIRON, arm
from tests.serve_apps.test_gateway_thinking import keys
from tests.serve_apps.thinking_stage import answer, events_of
from zoran_ray.models_file import ModelSpec
from zoran_ray.routing import AGENTS as ROLES
from zoran_ray.routing import Prompt
from zoran_ray.routing.journal import LateScore
from zoran_ray.routing.live import LiveResonator
from zoran_ray.routing.reports import Answered, Scored
from zoran_ray.settings import PrivacyProfile, PrivacySettings, RoutingSettings

CHAT = "/v1/chat/completions"
AGENTS = "zoran/agents"
SUM = [{"role": "user", "content": "What is 2+2?"}]
CODE = [{"role": "user", "content": "Write a python function that adds."}]
URL = "https://example.org/cat.png"


def picture(url=URL):
    content = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}]
    return [{"role": "user", "content": content}]


@pytest.fixture
def link():
    return LocalLink()


@pytest.fixture
async def stack(make_stack, link):
    stack = await make_stack(strategies=STRATEGIES, agents=(link, True))
    stack.catalogue()
    return stack


@pytest.fixture
async def replica(stack):
    replica = await stack.replica()
    return replica.will(says(replica, "Answer: 4"))


def says(replica, text):
    async def step(reader, writer):
        return await replica.whole(answer(text))(reader, writer)

    return step


async def ask(stack, headers=None, model=AGENTS, messages=SUM, path=CHAT, **fields):
    return await stack.post(path, {"model": model, "messages": messages, **fields}, headers)


def learned(stack, scores):
    """Give the gateway a snapshot in which these roles had these scores for the sum."""
    router = LiveResonator(RoutingSettings(), "life")
    router.follow([ModelSpec(name="m")])
    x = stack.roles.features(Prompt("What is 2+2?"))
    for _ in range(60):
        for role, score in scores.items():
            report = Answered(
                "r", f"{AGENTS}:{role}", "c", 1.0, 1, x, "other", 10, 20.0, 1.0, 0.0, False, None, "", 1.0
            )
            router.score(LateScore(1, report, score, implicit=False, at=1.0))
    stack.router.update(router.publication())


@pytest.mark.parametrize("path", [CHAT, "/v1/messages", "/v1/responses"])
async def test_a_role_answers_in_every_dialect(stack, replica, path):
    body = {"model": AGENTS, "max_tokens": 50, "messages": SUM}
    if path == "/v1/responses":
        body = {"model": AGENTS, "input": "What is 2+2?"}
    got = await stack.post(path, body)
    assert got.status == 200
    assert got.headers["x-zoran-agent"] == "reasoner"
    assert got.json["zoran"]["strategy"] == "reasoner"
    assert got.json["zoran"]["detail"]["agent"] == "reasoner"
    assert got.json["zoran"]["calls"] == 1


@pytest.mark.parametrize(
    ("model", "messages", "role"),
    [
        (AGENTS, SUM, "reasoner"),
        (AGENTS, CODE, "coder"),
        (f"{AGENTS}:coder", SUM, "coder"),
        (f"{AGENTS}:retriever", SUM, "retriever"),
    ],
)
async def test_before_anything_is_learned_the_kind_of_task_decides(stack, replica, model, messages, role):
    got = await ask(stack, model=model, messages=messages)
    assert got.status == 200
    assert got.headers["x-zoran-agent"] == role
    assert got.headers["x-zoran-route-reason"] == ("named" if ":" in model else "nothing-learned")


async def test_what_was_learned_decides_and_a_score_can_be_given(stack, replica):
    learned(stack, {"reasoner": 0.1, "coder": 0.95, "retriever": 0.1})
    got = await ask(stack, headers={"x-request-id": "r-1"})
    assert got.headers["x-zoran-agent"] == "coder"
    await stack.post("/v1/feedback", {"request_id": "r-1", "score": 0})
    answered, scored = stack.reports
    assert isinstance(answered, Answered)
    assert (answered.arm, answered.chosen, answered.failed) == ("zoran/agents:coder",) * 2 + (False,)
    assert answered.score == 1.0
    assert answered.output_tokens == 2
    assert answered.latency_s > 0
    assert isinstance(scored, Scored)


async def test_what_a_verifier_says_is_what_is_learned(stack, replica):
    wrong = {"verifier": {"kind": "exact", "expected": "5"}}
    got = await ask(stack, zoran=wrong)
    assert got.json["zoran"]["verified"] is False
    (answered,) = await stack.reported()
    assert answered.score == 0.0


async def test_a_role_that_was_named_teaches_nothing(stack, replica):
    await ask(stack, model=f"{AGENTS}:reasoner")
    assert await stack.reported() == []


async def test_explain_names_the_role_and_why_others_cannot(stack, replica):
    learned(stack, {"coder": 0.9})
    got = await stack.post("/v1/route/explain", {"model": AGENTS, "messages": SUM})
    assert got.json["choice"]["arm"] in ("zoran/agents:coder", "zoran/agents:reasoner")
    rows = {row["name"]: row for row in got.json["arms"]}
    assert set(rows) == {f"zoran/agents:{role}" for role in ROLES}
    assert "no picture" in rows["zoran/agents:vision"]["excluded"]


async def test_thoughts_of_a_role_stream(stack, replica):
    replica.will(says(replica, "Two and two.\nAnswer: 4"))
    got = await ask(stack, stream=True)
    events = events_of(got.body)
    deltas = [event["choices"][0]["delta"] for event in events if event["choices"]]
    assert "Two and two." in "".join(delta.get("reasoning", "") for delta in deltas)
    assert "".join(delta.get("content", "") for delta in deltas) == "4"
    assert events[-1]["zoran"]["strategy"] == "reasoner"


async def test_the_reasoner_thinks_as_it_is_told(stack, replica, link):
    zoran = {"strategy": {"strategy": "self-consistency", "samples": 3}}
    got = await ask(stack, zoran=zoran)
    assert got.headers["x-zoran-agent"] == "reasoner"
    assert got.json["zoran"]["detail"]["strategy"] == "self-consistency"
    assert link.jobs[0][1].parameters == zoran["strategy"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"zoran": {"strategy": {"samples": 3}}}, "zoran.strategy.strategy"),
        ({"zoran": {"strategy": {"strategy": "nonsense"}}}, "zoran.strategy"),
        ({"zoran": {"strategy": {"strategy": "cot", "x": 1}}}, "zoran.strategy.x"),
        ({"zoran": {"verifier": {"kind": "nonsense"}}}, "zoran.verifier.kind"),
        ({"zoran": {"colour": "red"}}, "zoran.colour"),
        ({"zoran": {"budget": {"tokens": 1}}}, "zoran.budget.tokens"),
        ({"zoran": {"model": AGENTS}}, "model"),
        ({"model": f"{AGENTS}:cook"}, "model"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"model": f"{AGENTS}:coder", "zoran": {"strategy": {"strategy": "cot"}}}, "model"),
        ({"model": f"{AGENTS}:vision"}, "model"),
    ],
)
async def test_what_makes_no_sense_is_refused_with_its_place(stack, replica, link, fields, param):
    got = await ask(stack, **fields)
    assert got.status in (400, 404), got.body
    assert got.json["error"]["param"].startswith(param)
    assert replica.requests == []


async def test_without_a_folder_there_is_no_retriever(make_stack, link):
    stack = await make_stack(strategies=STRATEGIES, agents=(link, False))
    await stack.replica()
    got = await ask(stack, model=f"{AGENTS}:retriever")
    assert got.code == "no_arm_fits"
    assert "agents.folder" in got.json["error"]["message"]


async def test_the_retriever_gives_lines(stack, replica):
    replica.will(says(replica, "8080 [docs/a.md:3]"))
    got = await ask(stack, model=f"{AGENTS}:retriever")
    assert got.json["choices"][0]["message"]["content"] == "8080 [docs/a.md:3]"
    assert got.json["zoran"]["detail"]["citations"] == [{"path": "docs/a.md", "first": 3, "last": 3}]


async def test_what_the_retriever_finds_does_not_go_where_it_would_have_to_be_masked(make_stack, link):
    async with FakeProvider(Speech(), ENVIRON["ACME_API_KEY"]) as provider:
        stack = await make_stack(strategies=STRATEGIES, agents=(link, True), environ=ENVIRON)
        stack.catalogue(arm("acme/a", provider.url))
        fields = {"model": f"{AGENTS}:retriever", "zoran": {"model": "acme/a"}}
        got = await ask(stack, **fields)
        assert got.code == "no_arm_fits"
        assert "not masked" in got.json["error"]["message"]
        assert not provider.requests


async def test_a_picture_goes_to_a_model_that_sees(make_stack, link):
    stack = await make_stack(strategies=STRATEGIES, agents=(link, True))
    stack.catalogue(modalities=("text", "image"))
    replica = await stack.replica()
    replica.will(says(replica, "A cat."))
    got = await ask(stack, messages=picture())
    assert got.headers["x-zoran-agent"] == "vision"
    assert got.json["choices"][0]["message"]["content"] == "A cat."
    (sent,) = replica.requests
    (_, part) = sent.json["messages"][0]["content"]
    assert part["image_url"]["url"].startswith("data:image/png;base64,")
    assert URL not in json.dumps(sent.json)


@pytest.mark.parametrize("model", [AGENTS, f"{AGENTS}:vision"])
async def test_where_no_model_sees_the_error_says_what_to_configure(stack, replica, model):
    got = await ask(stack, model=model, messages=picture())
    assert got.code == "no_arm_fits"
    assert "modalities: [text, image]" in got.json["error"]["message"]


async def test_a_model_that_was_named_and_cannot_see_is_refused(stack, replica):
    got = await ask(stack, model=f"{AGENTS}:vision", messages=picture(), zoran={"model": "m"})
    assert got.code == "no_arm_fits"
    assert "local/m" in got.json["error"]["message"]


async def test_only_agents_may_be_sent_a_url(stack, replica):
    for model in ("m", "zoran/cot", "zoran/auto"):
        got = await ask(stack, model=model, messages=picture())
        assert got.status == 400
        assert "data:" in got.json["error"]["message"]
    got = await ask(stack, messages=picture("ftp://example.org/x"))
    assert got.status == 400
    assert replica.requests == []


async def test_a_picture_with_bad_base64_is_refused(make_stack, link):
    stack = await make_stack(strategies=STRATEGIES, agents=(link, True))
    stack.catalogue(modalities=("text", "image"))
    replica = await stack.replica()
    got = await ask(stack, messages=picture("data:image/png;base64,%%%"))
    assert got.status == 400
    assert "base64" in got.json["error"]["message"]
    assert replica.requests == []


async def test_a_full_mailbox_is_told_with_a_time_to_come_again(make_stack):
    stack = await make_stack(strategies=STRATEGIES, agents=(FullLink(), True))
    await stack.replica()
    got = await ask(stack)
    assert got.status == 503
    assert got.code == "overloaded"
    assert got.headers["retry-after"] == "1"


async def test_a_client_that_leaves_stops_the_role_and_the_model(stack, replica, link):
    asked, cut = asyncio.Event(), asyncio.Event()

    async def hangs(reader, writer):
        asked.set()
        await reader.read(1)
        cut.set()
        return False

    replica.will(hangs)
    client = asyncio.create_task(ask(stack))
    await asked.wait()
    (served,) = stack.uvicorn.tasks
    served.cancel()  # as Serve does when the client hangs up
    client.cancel()
    async with asyncio.timeout(1.0):
        await cut.wait()
        await link.idle()
    assert link.stopped == [link.jobs[0][1].id]
    assert len(replica.requests) == 1
    assert await stack.reported() == [], "the client left: that teaches nothing"


async def test_a_key_may_be_for_one_role_only(stack, replica):
    headers = keys(stack, code={"models": ("zoran/agents:coder", "local/m")}, none={"models": ("local/m",)})
    got = await ask(stack, headers["code"])
    assert got.headers["x-zoran-agent"] == "coder"
    assert (await ask(stack, headers["code"], model=f"{AGENTS}:reasoner")).status == 403
    assert (await ask(stack, headers["none"])).status == 403


async def test_models_list_the_roles(stack, replica):
    rows = {row["id"]: row for row in (await stack.get("/v1/models")).json["data"]}
    assert rows[AGENTS]["zoran"]["agent"] is None
    assert rows[f"{AGENTS}:vision"]["zoran"]["agent"] == "vision"
    assert (await stack.get(f"/v1/models/{AGENTS}:coder")).json["id"] == f"{AGENTS}:coder"


async def test_what_a_privacy_profile_masks_a_role_does_not_see(make_stack, link):
    settings = PrivacySettings(profiles={"strict": PrivacyProfile(mode="always")}, profile="strict")
    stack = await make_stack(strategies=STRATEGIES, agents=(link, True), privacy=settings)
    replica = await stack.replica()
    replica.will(says(replica, "Answer: 4"))
    said = [{"role": "user", "content": "Write to ada@example.com"}]
    got = await ask(stack, model=f"{AGENTS}:reasoner", messages=said)
    assert got.status == 200
    assert "ada@example.com" not in str(link.jobs[0][1].messages)
    assert "ada@example.com" not in json.dumps(replica.requests[0].json)
