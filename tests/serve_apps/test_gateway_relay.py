"""What goes through the gateway: the bytes of requests and answers."""

import json

import pytest

from tests.serve_apps.fake_replica import ChatEvents as sse

RAW = b'{ "model":"m",  "messages":[{"role":"user","content":"\\u00e9 \xc3\xa9"}],"x":{"y":[1.50]}}'


async def test_a_body_reaches_the_replica_byte_for_byte(stack):
    replica = await stack.replica()
    replica.will(replica.whole({"ok": 1}))
    await stack.post("/v1/chat/completions", RAW)
    assert replica.requests[0].body == RAW


async def test_the_replica_gets_its_secret_and_the_request_id_but_not_the_clients_headers(stack):
    replica = await stack.replica()
    replica.will(replica.whole({"ok": 1}))
    sent = {
        "authorization": "Bearer zk-x",
        "x-request-id": "abc-1",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "x-zoran-replica-secret": "guess",
        "cookie": "a=b",
        "accept-encoding": "gzip",
    }
    await stack.chat(sent)
    got = replica.requests[0].headers
    assert got["x-zoran-replica-secret"].endswith("-r1")
    assert got["x-request-id"] == "abc-1"
    assert got["traceparent"] == sent["traceparent"]
    assert got["content-type"] == "application/json"
    # The relay reads answers as they are, so none may come compressed.
    assert got["accept-encoding"] == "identity"
    assert not {"authorization", "cookie"} & got.keys()


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "a"}]}),
        ("/v1/completions", {"prompt": "a"}),
        ("/v1/embeddings", {"input": "a"}),
        ("/v1/responses", {"input": "a"}),
        ("/v1/messages", {"messages": [{"role": "user", "content": "a"}], "max_tokens": 3}),
        ("/v1/messages/count_tokens", {"messages": [{"role": "user", "content": "a"}]}),
    ],
)
async def test_whole_answers_of_every_endpoint_come_back_as_they_are(stack, path, fields):
    replica = await stack.replica()
    body = '{"object": "x",  "error":{}, "text":"é", "usage":{"input_tokens":1,"output_tokens":2}}'.encode()
    replica.will(replica.whole(body))
    answer = await stack.post(path, {"model": "local/m", **fields})
    assert (answer.status, answer.body) == (200, body)
    assert answer.headers["content-type"] == "application/json"
    assert replica.requests[0].path == path


async def test_huge_bodies_both_ways(stack):
    replica = await stack.replica()
    body = json.dumps({"text": "é" * 2_000_000}, ensure_ascii=False).encode()
    replica.will(replica.whole(body))
    answer = await stack.chat(padding="x" * 3_000_000)
    assert answer.body == body
    assert len(replica.requests[0].json["padding"]) == 3_000_000


async def test_an_answer_that_is_not_json_passes_too(stack):
    """vLLM gives embeddings as raw bytes if asked to."""
    replica = await stack.replica()
    replica.will(replica.whole(b"\x00\x01\xff", kind="application/octet-stream"))
    answer = await stack.post("/v1/embeddings", {"model": "m", "input": "a", "encoding_format": "bytes"})
    assert (answer.status, answer.body) == (200, b"\x00\x01\xff")
    assert answer.headers["content-type"] == "application/octet-stream"


async def test_a_stream_whose_usage_the_client_wants_passes_byte_for_byte(stack):
    replica = await stack.replica()
    events = sse.say("é"), b": keep-alive\n\n", sse.say("🙂"), sse.USAGE, sse.DONE
    replica.will(replica.stream(*events))
    answer = await stack.chat(stream=True, stream_options={"include_usage": True})
    assert answer.body == b"".join(events)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert replica.requests[0].json["stream_options"] == {"include_usage": True}


async def test_usage_is_asked_for_and_taken_out_again(stack):
    replica = await stack.replica()
    replica.will(replica.stream(sse.say("4"), sse.USAGE, sse.DONE))
    raw = b'{"model":"m", "stream":true,"messages":[{"role":"user","content":"2+2"}]}'
    answer = await stack.post("/v1/chat/completions", raw)
    assert answer.body == sse.say("4") + sse.DONE
    assert replica.requests[0].body == b'{"stream_options":{"include_usage":true},' + raw[1:]
    model = {"model": "local/m"}
    assert stack.counted("zoran_tokens_total", kind="input", **model) == 9
    assert stack.counted("zoran_tokens_total", kind="output", **model) == 3
    assert stack.counted("zoran_tokens_total", kind="cached", **model) == 4


@pytest.mark.parametrize("size", [1, 3, 100])
async def test_events_cut_anywhere_by_the_network_arrive_whole(stack, size):
    replica = await stack.replica()
    sent = sse.say("é🙂ü") + sse.USAGE + sse.DONE
    replica.will(replica.stream(*(sent[i : i + size] for i in range(0, len(sent), size))))
    answer = await stack.chat(stream=True)
    assert answer.body == sse.say("é🙂ü") + sse.DONE


@pytest.mark.parametrize(
    ("path", "events"),
    [
        ("/v1/responses", b'event: response.completed\ndata: {"type":"response.completed"}\n\n'),
        ("/v1/messages", b'event: message_stop\ndata: {"type":"message_stop"}\n\n'),
    ],
)
async def test_streams_of_the_other_dialects(stack, path, events):
    replica = await stack.replica()
    replica.will(replica.stream(b'event: x\ndata: {"n":1}\n\n', events))
    fields = {"input": "a"} if "responses" in path else {"messages": [{"role": "user", "content": "a"}]}
    raw = json.dumps({"model": "m", "stream": True, "max_tokens": 5, **fields}).encode()
    answer = await stack.post(path, raw)
    assert answer.body == b'event: x\ndata: {"n":1}\n\n' + events
    assert replica.requests[0].body == raw


@pytest.mark.parametrize("sent", [None, "", "a b", "x" * 129, "é"])
async def test_a_request_id_that_is_none_is_replaced(stack, sent):
    replica = await stack.replica()
    replica.will(replica.whole({"ok": 1}))
    for _ in range(2):
        await stack.chat({} if sent is None else {"x-request-id": sent.encode()})
    first, second = (r.headers["x-request-id"] for r in replica.requests)
    assert first.startswith("req-")
    assert first != second


async def test_what_is_counted_of_a_stream(stack):
    replica = await stack.replica()
    replica.will(replica.stream(sse.say("4"), sse.say("2"), sse.USAGE, sse.DONE))
    answer = await stack.chat(stream=True)
    model, endpoint = {"model": "local/m"}, {"endpoint": "/v1/chat/completions"}
    ok = {"code": "200", "class": "2xx"}
    assert stack.counted("zoran_requests_total", **endpoint, **model, **ok) == 1
    assert stack.counted("zoran_request_duration_seconds_count", **endpoint, **model) == 1
    assert stack.counted("zoran_overhead_seconds_count", **endpoint) == 1
    assert stack.counted("zoran_time_to_first_token_seconds_count", **model) == 1
    assert stack.counted("zoran_time_per_output_token_seconds_count", **model) == 1
    assert stack.counted("zoran_relayed_bytes_total", **model) == len(answer.body)
    assert stack.counted("zoran_replica_retries_total", **model) == 0
    assert stack.counted("zoran_client_disconnects_total", **model) == 0


async def test_connections_to_a_replica_are_used_again(stack):
    replica = await stack.replica()
    replica.will(replica.stream(sse.say("4"), sse.DONE))
    for _ in range(3):
        await stack.chat(stream=True)
    assert len(replica.requests) == 3
    assert len(replica.connections) == 1
