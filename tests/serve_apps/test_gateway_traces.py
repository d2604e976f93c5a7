"""Lists of traces, and what becomes of them when somebody is forgotten."""

import hashlib
import re
import time

import pytest

from actors.told import Telling
from serve_apps.gateway.memory_fields import Draft
from serve_apps.gateway.strategies import Strategies
from serve_apps.gateway.thinking_search import MemorySearch
from serve_apps.gateway.trace_folder import TraceFolder
from serve_apps.gateway.trace_record import TraceRecord
from serve_apps.gateway.traces import Traces
from tests.serve_apps.memory_stage import MemoryStage
from tests.serve_apps.test_gateway_thinking import ask, keys
from tests.serve_apps.thinking_stage import PROMPT, STRATEGIES, answer, last_said, thinks
from zoran_ray.errors import RecordNotFound, Unavailable
from zoran_ray.messages import KeyInfo
from zoran_ray.reasoning.completion import Used
from zoran_ray.reasoning.registry import Registry, shipped_playbooks, shipped_strategies
from zoran_ray.settings import PrivacyProfile, PrivacySettings

PLACEHOLDER = re.compile(r"\[EMAIL[^\]]*\]")
_REGISTRY = Registry(shipped_strategies(), playbooks=shipped_playbooks())
BUILT_IN = Strategies(
    _REGISTRY.described() | STRATEGIES.described,
    lambda name, given: (_REGISTRY if name in _REGISTRY.described() else STRATEGIES).make(name, given),
)
ACME = KeyInfo("id-a", "a", hashlib.sha256(b"zk-a").hexdigest(), tenant="acme")


@pytest.fixture
async def stack(make_stack):
    return await make_stack(strategies=BUILT_IN)


@pytest.fixture
async def replica(stack):
    replica = await stack.replica()
    return replica.will(thinks(replica))


@pytest.fixture
async def desk(stack, tmp_path):
    """A memory whose forgetting reaches this gateway's traces."""
    folder = tmp_path / "memory"
    folder.mkdir()
    stage = MemoryStage(folder, traces=stack.traces.forget_all)
    yield stage.desk
    await stage.close()


def id_of(got):
    return got.json["zoran"]["trace_id"]


async def listed(stack, headers, query=""):
    found = (await stack.get(f"/v1/traces{query}", headers)).json
    return [row["id"] for row in found["data"]], found["has_more"]


async def test_a_tenants_traces_newest_first(stack, replica):
    headers = keys(stack, a={"tenant": "acme"}, b={"tenant": "other"})
    made = [id_of(await ask(stack, headers["a"])) for _ in range(3)]
    assert await listed(stack, headers["b"]) == ([], False)
    assert await listed(stack, headers["a"]) == (made[::-1], False)
    assert await listed(stack, headers["a"], "?limit=2") == ([made[2], made[1]], True)
    assert await listed(stack, headers["a"], f"?limit=2&after={made[1]}") == ([made[0]], False)
    assert (await stack.get("/v1/traces")).status == 401
    for query in (f"?after={made[0]}x", "?limit=0", "?limit=101", "?limit=x"):
        assert (await stack.get(f"/v1/traces{query}", headers["a"])).status == 400
    unknown = await stack.get(f"/v1/traces?after={made[0]}", headers["b"])
    nothing = await stack.get(f"/v1/traces?after=trace-{'0' * 32}", headers["b"])
    assert (unknown.status, unknown.json) == (nothing.status, nothing.json)


async def test_a_row_says_what_it_was_and_no_word_of_it(stack, replica):
    got = await ask(stack, zoran={"strategy": {"width": 2}})
    body = (await stack.get("/v1/traces")).body
    (row,) = (await stack.get("/v1/traces")).json["data"]
    assert (row["id"], row["model"], row["strategy"], row["ended"]) == (
        id_of(got),
        "zoran/fork",
        "fork",
        "done",
    )
    assert (row["inner_model"], row["used"]["calls"], row["object"]) == ("local/m", 3, "trace")
    assert row["bytes"] > 100
    for word in (PROMPT, "leaf", "root", "asked"):
        assert word not in body.decode()


@pytest.mark.parametrize(
    "named",
    [{"user": "anna"}, {"safety_identifier": "anna"}, {"metadata": {"user_id": "anna"}}],
)
async def test_forgetting_somebody_takes_their_traces_along(stack, replica, desk, named):
    headers = keys(stack, a={"tenant": "acme"}, b={"tenant": "other"})
    gone = id_of(await ask(stack, headers["a"], **named))
    kept = id_of(await ask(stack, headers["a"], user="ben"))
    others = id_of(await ask(stack, headers["b"], **named))
    erasure = await desk.forget_subject(ACME, "anna")
    assert (erasure.count, erasure.traces) == (0, 1)
    assert (await stack.get(f"/v1/traces/{gone}", headers["a"])).status == 404
    assert (await stack.get(f"/v1/traces/{kept}", headers["a"])).status == 200
    assert (await stack.get(f"/v1/traces/{others}", headers["b"])).status == 200
    assert (await desk.forget_everything(ACME)).traces == 1
    assert await listed(stack, headers["a"]) == ([], False)
    assert (await stack.get(f"/v1/traces/{others}", headers["b"])).status == 200
    again = id_of(await ask(stack, headers["a"], **named))
    assert (await listed(stack, headers["a"]))[0] == [again]


async def test_the_subject_of_a_tool_counts_too(stack, replica, desk):
    await ask(stack, zoran={"tools": {"memory": {"subject": "anna"}}})
    operator = KeyInfo("id-o", "o", "")
    assert (await desk.forget_subject(operator, "anna")).traces == 1


async def test_where_traces_cannot_be_deleted_nothing_is_forgotten(stack, replica, desk, monkeypatch):
    def broken(*_):
        raise OSError(30, "Read-only file system")

    await desk.put(ACME, [Draft(subject="anna", text="Tea at 5.", purpose="conversation")], "r")
    monkeypatch.setattr(stack.trace_folder, "forget", broken)
    with pytest.raises(Unavailable, match="nothing was forgotten"):
        await desk.forget_subject(ACME, "anna")
    monkeypatch.undo()
    assert (await desk.forget_subject(ACME, "anna")).count == 1


# -- other nodes -------------------------------------------------------------------------------------


@pytest.fixture
async def away(stack, tmp_path):
    """Makes the traces of another node's gateway, which forgets whom this one forgets."""

    def made(name="away"):
        return Traces(TraceFolder(tmp_path / name), Telling(stack._tell), stack.forgotten)

    return made


def record(number, *subjects, tenant="acme", began=None):
    used = Used(1, 5, 0, 5)
    document = {"id": f"trace-{number:032x}", "created": 1, "strategy": "cot", "inner_model": "m"}
    more = {"ended": "done", "verified": None, "used": used, "asked": {}}
    began = time.time() if began is None else began
    return TraceRecord(document["id"], tenant, used, document | more, [], [], subjects, began)


async def test_other_nodes_forget_too_also_those_that_were_down(stack, desk, away):
    node = away()
    for number, subject in enumerate(("anna", "ben")):
        node.keep(record(number, subject))
    node.keep(record(2, "anna", tenant="other"))
    await node.flush()
    node.keep(record(3, "anna"))  # not written yet
    erasure = await desk.forget_subject(ACME, "anna")
    assert erasure.traces == 0, "only this node's are counted"
    restarted = away()  # it was down, and its folder is as it was left
    for each in (restarted, node):
        rows, _ = await each.page("acme", 10, None)
        assert [row["id"] for row in rows] == [record(1).id]
        with pytest.raises(RecordNotFound):
            await each.get(record(0).id, "acme")
    with pytest.raises(RecordNotFound):
        await node.get(record(3).id, "acme")
    assert await node.get(record(2).id, "other")
    await desk.forget_everything(ACME)
    assert await node.page("acme", 10, None) == ([], False)


async def test_a_request_that_runs_elsewhere_leaves_no_trace(stack, desk, away):
    node, began = away(), time.time()
    await desk.forget_subject(ACME, "anna")
    node.keep(record(0, "anna", began=began))
    assert await node.page("acme", 10, None) == ([], False)
    node.keep(record(1, "anna"))
    node.keep(record(2, "ben", began=began))
    assert len((await node.page("acme", 10, None))[0]) == 2, "what came afterwards stays"


async def test_where_nobody_can_say_who_was_forgotten_no_trace_is_shown(stack, replica, desk, away):
    headers = keys(stack, a={"tenant": "acme"})["a"]
    made = id_of(await ask(stack, headers, user="anna"))
    await stack.traces.flush()
    await desk.put(ACME, [Draft(subject="anna", text="Tea at 5.", purpose="conversation")], "r")
    stack.forgotten.silent = True
    for path in ("/v1/traces", f"/v1/traces/{made}"):
        assert (await stack.get(path, headers)).status == 503
    with pytest.raises(Unavailable):
        await desk.forget_subject(ACME, "anna")
    stack.forgotten.silent = False
    assert (await desk.forget_subject(ACME, "anna")).count == 1


async def test_a_node_that_cannot_forget_shows_nothing(stack, desk, away, monkeypatch):
    node = away()
    node.keep(record(0, "anna"))
    await node.flush()
    await desk.forget_subject(ACME, "anna")

    def broken(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(node._folder, "forget", broken)
    with pytest.raises(Unavailable):
        await node.get(record(0).id, "acme")
    monkeypatch.undo()
    with pytest.raises(RecordNotFound):
        await node.get(record(0).id, "acme")


# -- what a playbook may search ----------------------------------------------------------------------


async def test_a_grounded_answer_reads_the_memory_of_whom_it_is_about(stack, replica, desk):
    stack.gateway._thinking._memory = MemorySearch(desk, stack.privacy)
    key = keys(stack, a={"tenant": "acme"})["a"]
    drafts = [
        Draft(subject="anna", text="The tea is ready at five.", purpose="conversation", id="tea-1"),
        Draft(subject="ben", text="The tea of Ben is secret.", purpose="conversation"),
    ]
    await desk.put(ACME, drafts, "r")
    replica.will(replica.whole(answer("At five [1].")))
    about = {"tools": {"memory": {"subject": "anna"}}}
    asked = [{"role": "user", "content": "When is the tea ready?"}]
    got = await ask(stack, key, model="zoran/grounded", messages=asked, zoran=about)
    assert got.json["choices"][0]["message"]["content"] == "At five [1]."
    assert got.json["zoran"]["verified"] is True
    prompt = last_said(replica.requests[0])
    assert "(1) memory tea-1\nThe tea is ready at five." in prompt
    assert "Ben" not in prompt
    refused = await ask(stack, key, model="zoran/grounded", messages=asked)
    assert (refused.status, refused.json["error"]["param"]) == (400, "zoran.memory.subject")


async def test_what_is_found_is_masked_and_put_back(make_stack, tmp_path):
    email = "jean.canary@example.fr"
    privacy = PrivacySettings(profiles={"default": PrivacyProfile(mode="always")})
    stack = await make_stack(strategies=BUILT_IN, privacy=privacy)
    replica = await stack.replica()
    replica.will(thinks(replica, say=lambda said: f"Write to {PLACEHOLDER.search(said)[0]} [1]."))
    (tmp_path / "memory").mkdir()
    stage = MemoryStage(tmp_path / "memory")
    stack.gateway._thinking._memory = MemorySearch(stage.desk, stack.privacy)
    operator = KeyInfo("id-o", "o", "")
    text = f"The address of Jean is {email}."
    await stage.desk.put(operator, [Draft(subject="anna", text=text, purpose="conversation")], "r")
    about = {"tools": {"memory": {"subject": "anna"}}}
    asked = [{"role": "user", "content": f"Is the address of Jean {email}?"}]
    got = await ask(stack, model="zoran/grounded", messages=asked, zoran=about)
    assert got.json["choices"][0]["message"]["content"] == f"Write to {email} [1]."
    assert email not in replica.requests[0].body.decode()
    await stage.close()
