"""Tasks through the gateway, beside an office whose pilot goes the straight way."""

import asyncio
import hashlib
import json

import httpx
import pytest

from serve_apps.gateway import task_pages, task_plans
from serve_apps.gateway.door import ANYBODY
from serve_apps.gateway.task_pages import add_task_pages
from serve_apps.gateway.task_trace import task_trace
from tests.autopilot.pilots import Course, Journal
from zoran_ray.autopilot import Mode, State, Task
from zoran_ray.autopilot.calls import KeptCall
from zoran_ray.autopilot.office import Rules, TaskOffice
from zoran_ray.autopilot.remote import Whereabouts
from zoran_ray.errors import Unavailable
from zoran_ray.messages import ANYBODY_ID, KeyInfo, KeySnapshot
from zoran_ray.policy import Policy
from zoran_ray.reasoning.replay import calls_of
from zoran_ray.settings import ServerSettings

BODY = {"message": "The discount is wrong.", "repo_url": "https://github.com/acme/shop"}


class Office:
    """An office beside a gateway, and clients with keys."""

    def __init__(self, stack, folder, course, mode_max="sovereign", **server):
        policy = Policy(mode_max=mode_max)
        rules = Rules(
            lambda: policy, lambda key_id: Whereabouts(open=key_id == ANYBODY_ID), "local/m", ("shop",)
        )
        self.journal, self.stack, self.gone_after = Journal(), stack, None
        self.holds = asyncio.Event()
        self.holds.set()
        self.office = TaskOffice(folder, rules, lambda tasks: Course(tasks, **course), self.journal)
        add_task_pages(stack.gateway._pages, stack.door, self.call, ServerSettings(**server))
        names = {"ann": "t", "ben": "u"}
        digest = {name: hashlib.sha256(f"zk-{name}".encode()).hexdigest() for name in names}
        keys = [KeyInfo(f"k-{name}", name, digest[name], tenant=tenant) for name, tenant in names.items()]
        stack.door.update(KeySnapshot(1, tuple(keys)))

    async def call(self, method, *args):
        if self.gone_after is not None:
            self.gone_after -= 1
            if self.gone_after < 0:
                raise Unavailable("Tasks are being started.")
        if method == "events":
            await self.holds.wait()
        return await getattr(self.office, method)(*args)

    async def post(self, path, body=None, name="ann"):
        return await self.stack.post(path, body, {"authorization": f"Bearer zk-{name}"})

    async def get(self, path, name="ann", **headers):
        return await self.stack.get(path, {"authorization": f"Bearer zk-{name}", **headers})

    async def until(self, task_id, *states):
        async with asyncio.timeout(10):
            while (row := (await self.get(f"/v1/tasks/{task_id}")).json)["state"] not in states:
                await asyncio.sleep(0.01)
        return row


@pytest.fixture
async def make(stack, tmp_path):
    offices = []

    async def made(course=None, **more):
        folder = tmp_path / "state"
        folder.mkdir(mode=0o700, exist_ok=True)
        offices.append(Office(stack, folder, course or {}, **more))
        await offices[-1].office.begin()
        return offices[-1]

    yield made
    for each in offices:
        await each.office.stop()


def frames(text):
    """Id, name and data of each event; comments are left out."""
    rows = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            rows.append((fields.get("id"), fields["event"], json.loads(fields["data"])))
    return rows


async def test_the_whole_way(make):
    office = await make()
    begun = (await office.post("/v1/chat", {**BODY, "wait_s": 0})).json
    assert (begun["object"], begun["state"], begun["mode"], begun["note"]) == (
        "task",
        "received",
        "operator",
        None,
    )
    assert begun["repositories"] == [{"remote": BODY["repo_url"], "branch": None}]
    done = await office.until(begun["id"], "pushed")
    assert (done["finished"], done["thread_id"], done["facts"]) == (True, begun["thread_id"], {})
    told = await office.get(f"/v1/tasks/{begun['id']}/events")
    assert told.headers["content-type"].startswith("text/event-stream")
    rows = frames(told.body.decode())
    assert [data["data"]["to"] for _, name, data in rows if name == "transition"] == [
        *("received", "planned", "edited", "tested", "pushed"),
    ]
    assert rows[-1][1:] == ("end", {"state": "pushed", "task": begun["id"]})
    page = (await office.get("/v1/tasks?limit=1")).json
    assert [row["id"] for row in page["data"]] == [begun["id"]]
    assert (await office.get(f"/v1/tasks/{begun['id']}/diff")).body == b""


async def test_whoever_comes_again_hears_only_what_is_new(make):
    office = await make()
    task = (await office.post("/v1/chat", BODY)).json
    await office.until(task["id"], "pushed")
    path = f"/v1/tasks/{task['id']}/events"
    whole = frames((await office.get(path)).body.decode())
    third = whole[2][0]
    for told in (
        await office.get(path, **{"last-event-id": third}),
        await office.get(f"{path}?after={third}"),
    ):
        assert frames(told.body.decode()) == whole[3:]
    last = whole[-2][0]
    assert (await office.get(path, **{"last-event-id": last})).status == 204
    assert (await office.get(f"{path}?after=x")).status == 400


async def test_events_come_while_it_goes_on(make):
    office = await make({"asks_at": State.TESTED})
    task = (await office.post("/v1/chat", BODY)).json
    waits = await office.until(task["id"], "awaiting_human")
    assert waits["awaiting"] == {"what": "paths", "why": "A risky path.", "commit": "c" * 40}
    url = f"http://127.0.0.1:{office.stack.port}/v1/tasks/{task['id']}/events"
    seen = []
    async with (
        asyncio.timeout(20),
        httpx.AsyncClient(headers={"authorization": "Bearer zk-ann"}, trust_env=False) as client,
        client.stream("GET", url) as stream,
    ):
        async for line in stream.aiter_lines():
            if not line.startswith("data: "):
                continue
            data = json.loads(line.removeprefix("data: "))
            if "kind" not in data:
                break
            seen.append(data["data"]["to"])
            if seen[-1] == "awaiting_human":
                assert (
                    await office.post(f"/v1/tasks/{task['id']}/approve", {"what": "merge"})
                ).status == 400
                good = {"what": "paths", "commit": "c" * 40}
                assert (await office.post(f"/v1/tasks/{task['id']}/approve", good)).status == 200
    assert seen[-3:] == ["awaiting_human", "tested", "pushed"]
    (approved,) = (await office.get(f"/v1/tasks/{task['id']}")).json["facts"]["approved"]
    assert approved["by"] == "ann"


async def test_a_client_that_leaves_frees_its_place(make, monkeypatch):
    monkeypatch.setattr(task_pages, "MOST_STREAMS", 1)
    office = await make({"hangs_at": State.PLANNED})
    task = (await office.post("/v1/chat", BODY)).json
    url = f"http://127.0.0.1:{office.stack.port}/v1/tasks/{task['id']}/events"
    async with httpx.AsyncClient(headers={"authorization": "Bearer zk-ann"}, trust_env=False) as client:
        async with client.stream("GET", url) as stream:
            lines = stream.aiter_lines()  # held: a generator that nobody holds is closed
            assert await anext(lines) == ": still here"
            assert (await office.get(f"/v1/tasks/{task['id']}/events")).status == 503
        async with asyncio.timeout(10):
            while True:
                async with client.stream("GET", url) as again:
                    if again.status_code == 200:
                        break
                await asyncio.sleep(0.02)


async def test_a_stream_ends_in_time(make):
    office = await make({"hangs_at": State.PLANNED}, request_timeout_s=0.3)
    task = (await office.post("/v1/chat", BODY)).json
    rows = frames((await office.get(f"/v1/tasks/{task['id']}/events")).body.decode())
    assert [name for _, name, _ in rows] == ["transition", "transition"]


async def test_a_stream_ends_well_where_nobody_can_be_asked_any_more(make):
    office = await make({"hangs_at": State.PLANNED})
    task = (await office.post("/v1/chat", BODY)).json
    office.gone_after = 2
    answer = await office.get(f"/v1/tasks/{task['id']}/events")
    assert (answer.status, frames(answer.body.decode())) == (200, [])
    office.gone_after = None
    assert (await office.get(f"/v1/tasks/{task['id']}")).status == 200


async def test_a_mode_that_is_lowered_says_so(make):
    office = await make(mode_max="advisor")
    row = (await office.post("/v1/chat", {**BODY, "mode": "sovereign"})).json
    assert (row["mode"], row["mode_asked"]) == ("advisor", "sovereign")
    assert "'advisor'" in row["note"]


async def test_cancel_and_resume(make):
    office = await make({"hangs_at": State.PLANNED})
    task = (await office.post("/v1/chat", BODY)).json
    await office.until(task["id"], "planned")
    assert (await office.post(f"/v1/tasks/{task['id']}/cancel")).status == 200
    await office.until(task["id"], "cancelled")
    for act in ("cancel", "resume", "approve"):
        assert (await office.post(f"/v1/tasks/{task['id']}/{act}")).status == 400


async def test_another_tenant_sees_nothing(make):
    office = await make()
    task = (await office.post("/v1/chat", BODY)).json
    assert (await office.get("/v1/tasks", "ben")).json["data"] == []
    for path in ("", "/events", "/trace", "/diff"):
        assert (await office.get(f"/v1/tasks/{task['id']}{path}", "ben")).status == 404
    for act in ("approve", "cancel", "resume"):
        assert (await office.post(f"/v1/tasks/{task['id']}/{act}", name="ben")).status == 404
    assert (await office.stack.post("/v1/chat", BODY)).status == 401


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({**BODY, "mode": "god"}, 400, "mode"),
        ({**BODY, "repo_url": "http://169.254.169.254/x"}, 403, "repo_url"),
        ({"message": "m", "repo_path": "/etc"}, 403, "repo_path"),
        ({**BODY, "owner": "u"}, 400, "owner"),
        ({**BODY, "wait_s": 61}, 400, "wait_s"),
        ({**BODY, "wait_s": -1}, 400, "wait_s"),
        ({**BODY, "wait_s": True}, 400, "wait_s"),
        ({**BODY, "wait_s": "5"}, 400, "wait_s"),
        (b"[1]", 400, None),
        (b"{", 400, None),
    ],
)
async def test_what_cannot_be_asked_names_the_field(make, body, status, param):
    answer = await (await make()).post("/v1/chat", body)
    assert (answer.status, answer.json["error"]["param"]) == (status, param)


# -- plans and traces -----------------------------------------------------------------------------

PLANNED = {"text": "Round the discount.", "files": ["a.py"]}


async def test_the_answer_has_the_plan(make):
    office = await make({"says": PLANNED["text"], "hangs_at": State.PLANNED})
    named = {**BODY, "once": "one"}
    begun = (await office.post("/v1/chat", named)).json
    assert (begun["state"], begun["plan"]) == ("planned", PLANNED)
    assert (await office.post("/v1/chat", named)).json == begun
    row = (await office.get(f"/v1/tasks/{begun['id']}")).json
    assert (row["plan"], begun.keys() | {"facts"}) == (PLANNED, row.keys())
    assert "plan" not in (await office.get("/v1/tasks")).json["data"][0]


async def test_a_task_that_stands_still_has_no_plan_to_wait_for(make):
    office = await make({"breaks_once_at": State.RECEIVED})
    begun = (await office.post("/v1/chat", {**BODY, "wait_s": 60})).json
    assert (begun["state"], begun["plan"]) == ("failed", None)


async def test_whoever_has_waited_long_enough_gets_the_task_as_it_is(make):
    office = await make({"hangs_at": State.RECEIVED})
    begun = (await office.post("/v1/chat", {**BODY, "wait_s": 0.2})).json
    assert (begun["state"], begun["plan"]) == ("received", None)


async def test_a_server_with_less_patience_answers_before(make):
    office = await make({"hangs_at": State.RECEIVED}, request_timeout_s=0.2)
    assert (await office.post("/v1/chat", {**BODY, "wait_s": 60})).json["state"] == "received"


async def test_where_too_many_wait_the_answer_comes_at_once(make, monkeypatch):
    monkeypatch.setattr(task_plans, "MOST_WAITING", 0)
    office = await make({"hangs_at": State.RECEIVED})
    begun = await office.post("/v1/chat", {**BODY, "wait_s": 60})
    assert (begun.status, begun.json["state"]) == (200, "received")


async def test_a_client_that_leaves_stops_no_task(make):
    office = await make({"asks_at": State.RECEIVED, "says": PLANNED["text"], "hangs_at": State.PLANNED})
    office.holds.clear()  # the office says nothing of it for now
    url = f"http://127.0.0.1:{office.stack.port}/v1/chat"
    async with httpx.AsyncClient(headers={"authorization": "Bearer zk-ann"}, trust_env=False) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post(url, json={**BODY, "wait_s": 60}, timeout=0.5)
    office.holds.set()
    (task,) = (await office.get("/v1/tasks")).json["data"]
    await office.until(task["id"], "awaiting_human")
    assert (await office.post(f"/v1/tasks/{task['id']}/approve")).status == 200
    assert (await office.until(task["id"], "planned"))["plan"] == PLANNED


async def test_a_task_that_was_begun_is_told_of_though_nobody_can_be_asked_any_more(make):
    office = await make({"hangs_at": State.RECEIVED})
    office.gone_after = 1
    begun = await office.post("/v1/chat", {**BODY, "wait_s": 60})
    office.gone_after = None
    assert (begun.status, begun.json["plan"]) == (200, None)
    assert (await office.get(f"/v1/tasks/{begun.json['id']}")).status == 200


async def test_a_trace_is_the_document_that_strategies_have(make):
    office = await make({"says": PLANNED["text"]})
    task = (await office.post("/v1/chat", BODY)).json
    await office.until(task["id"], "pushed")
    trace = (await office.get(f"/v1/tasks/{task['id']}/trace")).json
    assert (trace["id"], trace["object"], trace["ended"]) == (task["id"], "trace", "pushed")
    (step,), (call,) = trace["steps"], calls_of(trace)
    assert (step["kind"], step["text"], step["used"]) == ("thought", PLANNED["text"], trace["used"])
    assert (call.answer.choices[0].text, call.messages[0]["content"]) == (PLANNED["text"], "Plan.")
    assert (trace["used"]["prompt_tokens"], trace["used"]["completion_tokens"]) == (7, 5)


async def test_edits_stand_below_the_plan_of_their_repository():
    said = {"answer": {"choices": [], "used": {"calls": 1}}}
    made = [(1, 0, "plan"), (2, 0, "edit"), (3, 1, "plan"), (4, 1, "edit"), (5, 0, "edit"), (6, 2, "edit")]
    task = Task(
        "task_1", "t", "thread_1", Mode.OPERATOR, State.PUSHED, State.EDITED, None,
        {"model": "m", "repositories": []}, {}, 100.0, 100.0, 1, False,
    )  # fmt: skip
    trace = task_trace(task, [KeptCall(number, 101.5, place, kind, said) for number, place, kind in made])
    assert [step["parent"] for step in trace["steps"]] == [0, 1, 0, 3, 1, 0]
    assert {step["at_s"] for step in trace["steps"]} == {1.5}
    assert (trace["used"]["calls"], trace["ended"]) == (6, "edited")


def test_nobody_in_particular_has_one_id():
    assert ANYBODY.key_id == ANYBODY_ID
