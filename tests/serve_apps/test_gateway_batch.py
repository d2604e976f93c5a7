"""Files and batches through the gateway, asked by OpenAI's own client."""

import asyncio
import contextlib
import hashlib
import json

import openai
import pytest

from serve_apps.gateway.batch_pages import add_batch_pages
from serve_apps.gateway.file_pages import add_file_pages
from serve_apps.gateway.inside import ask_inside
from serve_apps.gateway.turn import LATER
from tests.integration.openai_spec import deviations
from zoran_ray.batch.office import BatchOffice
from zoran_ray.batch.runner import Patience
from zoran_ray.batch.seats import Seats
from zoran_ray.batch.turn import TURN_HEADER, WAITS
from zoran_ray.messages import KeyInfo, KeySnapshot
from zoran_ray.settings import ServerSettings

CHAT = "/v1/chat/completions"
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "local/m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "4"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}


def row(custom_id, **body):
    body = {"model": "m", "messages": [{"role": "user", "content": custom_id}], **body}
    return (
        json.dumps({"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body}).encode() + b"\n"
    )


class Office:
    """An office beside a gateway, which asks it as the cluster does."""

    def __init__(self, stack, folder):
        self.stack = stack
        self.office = BatchOffice(
            folder, self._ask, Seats(), patience=Patience(tries=2, first_s=0.0, most_s=0.0)
        )
        server = ServerSettings()
        add_file_pages(stack.gateway._pages, stack.door, self.call, server)
        add_batch_pages(stack.gateway._pages, stack.door, self.call, server)

    async def _ask(self, key_id, request, request_id):
        body = json.dumps(request.body).encode()
        return await ask_inside(self.stack.gateway, request.endpoint.path, body, key_id, request_id)

    async def call(self, method, *args):
        return await getattr(self.office, method)(*args)

    def keys(self, **fields):
        """Let these keys in: name of each and what it has besides."""
        made = [
            KeyInfo(f"k-{name}", name, hashlib.sha256(f"zk-{name}".encode()).hexdigest(), **each)
            for name, each in fields.items()
        ]
        self.stack.door.update(KeySnapshot(1, tuple(made)))


@pytest.fixture
async def office(stack, tmp_path):
    made = Office(stack, tmp_path / "state")
    (tmp_path / "state").mkdir(mode=0o700)
    made.keys(ann={"tenant": "t"}, ben={"tenant": "u"}, amy={"tenant": "t"})
    await made.office.start()
    made.replica = await stack.replica()
    made.replica.will(made.replica.whole(ANSWER))
    yield made
    await made.office.stop()


@pytest.fixture
async def sdk(office):
    async with contextlib.AsyncExitStack() as clients:

        async def client(name="ann"):
            made = openai.AsyncOpenAI(
                base_url=f"http://127.0.0.1:{office.stack.port}/v1", api_key=f"zk-{name}", max_retries=0
            )
            return await clients.enter_async_context(made)

        yield client


async def ended(client, batch_id):
    async with asyncio.timeout(20):
        while (batch := await client.batches.retrieve(batch_id)).status not in (
            *("completed", "failed", "expired", "cancelled"),
        ):
            await asyncio.sleep(0.01)
    return batch


async def test_the_whole_way_with_openais_client(office, sdk):
    client = await sdk()
    content = b"".join(row(f"c{n}") for n in range(20)) + b"{\n" + row("c3")
    file = await client.files.create(file=("../in.jsonl", content), purpose="batch")
    assert (file.bytes, file.filename, file.purpose) == (len(content), "../in.jsonl", "batch")
    batch = await client.batches.create(
        input_file_id=file.id, endpoint=CHAT, completion_window="24h", metadata={"run": "7"}
    )
    assert (batch.status, batch.metadata, batch.expires_at - batch.created_at) == (
        "validating", {"run": "7"}, 86400,
    )  # fmt: skip
    batch = await ended(client, batch.id)
    assert batch.status == "completed"
    assert (batch.request_counts.total, batch.request_counts.completed) == (22, 20)
    assert [(error.line, error.code) for error in batch.errors.data] == [
        (21, "invalid_json"),
        (22, "duplicate_custom_id"),
    ]
    assert (batch.usage.input_tokens, batch.usage.output_tokens, batch.model) == (60, 40, "m")
    good = [json.loads(x) for x in (await client.files.content(batch.output_file_id)).text.splitlines()]
    bad = [json.loads(x) for x in (await client.files.content(batch.error_file_id)).text.splitlines()]
    assert {each["custom_id"] for each in good} == {f"c{n}" for n in range(20)}
    first = good[0]["response"]
    assert (first["status_code"], first["body"]["choices"][0]["message"]["content"]) == (200, "4")
    assert first["request_id"].startswith(batch.id)
    assert len(bad) == 2
    page = await client.batches.list(limit=1)
    assert [each.id for each in page.data] == [batch.id]
    assert len(office.replica.requests) == 20


async def test_every_answer_is_what_openai_describes(office, sdk):
    client = await sdk()
    file = await client.files.create(file=("in", row("a") + b"{\n"), purpose="batch")
    batch = await client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
    await ended(client, batch.id)
    for path, schema in (
        (f"/v1/files/{file.id}", "OpenAIFile"),
        (f"/v1/batches/{batch.id}", "Batch"),
        ("/v1/files", "ListFilesResponse"),
        ("/v1/batches", "ListBatchesResponse"),
    ):
        answer = await office.stack.get(path, {"authorization": "Bearer zk-ann"})
        assert deviations(answer.json, schema) == []
    gone = await client.files.delete(file.id)
    assert deviations(gone.model_dump(mode="json"), "DeleteFileResponse") == []


async def test_files_are_listed_read_and_deleted(sdk):
    client = await sdk()
    kept = [await client.files.create(file=(f"{n}", b"x" * n), purpose="batch") for n in range(1, 4)]
    found = [file.filename async for file in client.files.list(limit=2)]
    assert found == ["3", "2", "1"]
    assert [f.filename async for f in client.files.list(purpose="vision")] == []
    assert (await client.files.content(kept[2].id)).content == b"xxx"
    gone = await client.files.delete(kept[0].id)
    assert (gone.id, gone.deleted) == (kept[0].id, True)
    with pytest.raises(openai.NotFoundError):
        await client.files.retrieve(kept[0].id)


async def test_a_large_file_in_pieces_byte_for_byte(sdk):
    client = await sdk()
    content = b"".join(b"%d\r\n--x" % n for n in range(500_000))
    file = await client.files.create(file=("big", content), purpose="user_data")
    assert (await client.files.content(file.id)).content == content


async def test_another_tenant_sees_nothing_and_another_key_of_it_all(sdk):
    ann, amy, ben = await sdk("ann"), await sdk("amy"), await sdk("ben")
    file = await ann.files.create(file=("in", row("a")), purpose="batch")
    batch = await ann.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
    assert (await amy.files.retrieve(file.id)).id == file.id
    assert (await amy.batches.retrieve(batch.id)).id == batch.id
    for call in (
        ben.files.retrieve(file.id),
        ben.files.content(file.id),
        ben.files.delete(file.id),
        ben.batches.retrieve(batch.id),
        ben.batches.cancel(batch.id),
        ben.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h"),
    ):
        with pytest.raises(openai.NotFoundError):
            await call
    assert [each async for each in ben.files.list()] == []
    assert [each async for each in ben.batches.list()] == []
    nobody = await sdk("nobody")
    for call in (nobody.files.list(), nobody.batches.list(), nobody.files.content(file.id)):
        with pytest.raises(openai.AuthenticationError):
            await call
    await ended(ann, batch.id)


async def test_what_a_key_may_not_do_its_batch_may_not_either(office, sdk):
    office.keys(ann={"tenant": "t", "models": ("local/other",)})
    client = await sdk()
    file = await client.files.create(file=("in", row("a")), purpose="batch")
    batch = await client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
    batch = await ended(client, batch.id)
    assert (batch.output_file_id, batch.request_counts.failed) == (None, 1)
    told = json.loads((await client.files.content(batch.error_file_id)).text)
    assert told["response"]["status_code"] == 403
    assert told["response"]["body"]["error"]["code"] == "permission_denied"
    assert office.replica.requests == []


async def test_a_key_that_was_revoked_stops_its_batch(office, sdk):
    client = await sdk()
    file = await client.files.create(file=("in", row("a")), purpose="batch")
    office.keys(amy={"tenant": "t"})
    job = await office.office.create("t", "k-ann", CHAT, file.id, "24h")
    amy = await sdk("amy")
    batch = await ended(amy, job.id)
    told = json.loads((await amy.files.content(batch.error_file_id)).text)
    assert told["response"]["status_code"] == 401


async def test_cancelling_aborts_what_the_model_does(office, sdk):
    async def silent(reader, writer):
        await reader.read()
        office.replica.aborted.set()
        return False

    office.replica.will(silent)
    client = await sdk()
    file = await client.files.create(file=("in", row("a")), purpose="batch")
    batch = await client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
    async with asyncio.timeout(20):
        await office.replica.asked.wait()
        assert (await client.batches.cancel(batch.id)).status in ("cancelling", "cancelled")
        await office.replica.aborted.wait()
    assert (await ended(client, batch.id)).status == "cancelled"
    with pytest.raises(openai.BadRequestError):
        await client.batches.cancel(batch.id)


@pytest.mark.parametrize("policy", ["fcfs", None])
async def test_batches_say_that_they_can_wait_where_engines_understand_it(office, sdk, policy):
    office.stack.catalogue(engine_args={"scheduling-policy": policy} if policy else {})
    client = await sdk()
    file = await client.files.create(file=("in", row("a")), purpose="batch")
    batch = await client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
    await ended(client, batch.id)
    await office.stack.chat({"authorization": "Bearer zk-ann"})
    batched, interactive = (request.json for request in office.replica.requests)
    assert batched.get("priority") == (None if policy else LATER)
    assert "priority" not in interactive
    assert batched["cache_salt"] == interactive["cache_salt"]


@pytest.mark.parametrize(
    ("asked", "header", "sent"),
    [(None, WAITS, LATER), (5, WAITS, LATER), (9999, WAITS, 9999), (7, "soon", 7), (-5, "", 0)],
)
async def test_anybody_may_step_back_and_nobody_push_forward(office, asked, header, sent):
    office.stack.catalogue()
    fields = {} if asked is None else {"priority": asked}
    await office.stack.chat({"authorization": "Bearer zk-ann", TURN_HEADER: header}, **fields)
    assert office.replica.requests[-1].json["priority"] == sent


@pytest.mark.parametrize(
    ("asked", "header", "sent"),
    [
        (None, WAITS, str(LATER)),
        (5, WAITS, str(LATER)),
        (9999, WAITS, "9999"),
        (7, "", "7"),
        (-5, "", None),
        (None, "", None),
    ],
)
async def test_anthropics_messages_say_so_in_a_header(office, asked, header, sent):
    office.stack.catalogue()
    body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
    if asked is not None:
        body["priority"] = asked
    headers = {"authorization": "Bearer zk-ann", TURN_HEADER: header, "x-vllm-priority": "-9"}
    await office.stack.post("/v1/messages", body, headers)
    (request,) = office.replica.requests
    assert request.headers.get("x-vllm-priority") == sent
    assert str(request.json.get("priority") or None) == str(sent)


async def test_an_engine_without_priorities_gets_no_header(office):
    office.stack.catalogue(engine_args={"scheduling-policy": "fcfs"})
    body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
    await office.stack.post("/v1/messages", body, {"authorization": "Bearer zk-ann", TURN_HEADER: WAITS})
    await office.stack.chat({"authorization": "Bearer zk-ann"})
    assert all("x-vllm-priority" not in request.headers for request in office.replica.requests)


async def test_a_server_without_keys_runs_batches_of_anybody(office, sdk):
    office.stack.door.update(KeySnapshot())
    client = await sdk("nobody")
    file = await client.files.create(file=("in", row("a")), purpose="batch")
    batch = await client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
    assert (await ended(client, batch.id)).request_counts.completed == 1
    # Once there are keys, what belongs to nobody stays with those that have no tenant.
    office.keys(ops={}, ann={"tenant": "t"})
    assert (await (await sdk("ops")).batches.retrieve(batch.id)).id == batch.id
    with pytest.raises(openai.NotFoundError):
        await (await sdk("ann")).batches.retrieve(batch.id)


async def test_nobody_speaks_in_anothers_name_over_http(office):
    for name in ("zoran.key_id", "x-zoran-key-id", "zoran-key-id"):
        answer = await office.stack.chat({name: "k-ann"})
        assert (answer.status, answer.code) == (401, "invalid_api_key")


def part(name, content, end=b"\r\n--b--"):
    return b'--b\r\nContent-Disposition: form-data; name="' + name + b'"\r\n\r\n' + content + end


FORM = "multipart/form-data; boundary=b"


@pytest.mark.parametrize(
    ("kind", "body", "param"),
    [
        ("application/json", b"{}", None),
        ("multipart/form-data", b"x", None),
        (FORM, b"nonsense", None),
        (FORM, part(b"file", b"x", end=b""), None),
        (FORM, part(b"a", b"x"), "file"),
        (FORM, part(b"a", b"x" * 5000), None),
        (FORM, part(b"file", b"x"), "purpose"),
        (FORM, part(b"file", b"x", end=b"\r\n") + part(b"file", b"y"), "file"),
    ],
)
async def test_forms_that_are_none(office, kind, body, param, tmp_path):
    answer = await office.stack.post(
        "/v1/files", body, {"content-type": kind, "authorization": "Bearer zk-ann"}
    )
    assert (answer.status, answer.json["error"]["param"]) == (400, param)
    folder = tmp_path / "state" / "batch" / "files"
    assert not folder.exists() or list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("/v1/files?limit=0", "limit"),
        ("/v1/files?limit=x", "limit"),
        ("/v1/files?order=up", "order"),
        ("/v1/batches?limit=101", "limit"),
    ],
)
async def test_lists_that_cannot_be(office, path, param):
    answer = await office.stack.get(path, {"authorization": "Bearer zk-ann"})
    assert (answer.status, answer.json["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"input_file_id": "file-x"}, 404, "file_id"),
        ({"input_file_id": 5}, 400, "input_file_id"),
        ({"endpoint": "/v1/files"}, 400, "endpoint"),
        ({"completion_window": "1y"}, 400, "completion_window"),
        ({"metadata": {"a": "x" * 513}}, 400, "metadata.a"),
        ({"metadata": {str(n): "" for n in range(17)}}, 400, "metadata"),
        ({"unknown": 1}, 400, "unknown"),
    ],
)
async def test_batches_that_cannot_be(office, sdk, fields, status, param):
    client = await sdk()
    file = await client.files.create(file=("in", row("a")), purpose="batch")
    body = {"input_file_id": file.id, "endpoint": CHAT, "completion_window": "24h", **fields}
    answer = await office.stack.post("/v1/batches", body, {"authorization": "Bearer zk-ann"})
    assert (answer.status, answer.json["error"]["param"]) == (status, param)


async def test_expiry_of_files(sdk):
    client = await sdk()
    file = await client.files.create(
        file=("in", b"x"), purpose="batch", expires_after={"anchor": "created_at", "seconds": 3600}
    )
    assert file.expires_at == file.created_at + 3600
    with pytest.raises(openai.BadRequestError):
        await client.files.create(
            file=("in", b"x"), purpose="batch", expires_after={"anchor": "created_at", "seconds": 1}
        )
