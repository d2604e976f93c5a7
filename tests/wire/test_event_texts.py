"""Streams of every dialect, unmasked alike however text and network cut them."""

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.errors import UpstreamError
from zoran_ray.privacy import StreamUnmasker, as_is, in_json, unmask
from zoran_ray.wire import Endpoint
from zoran_ray.wire.event_pieces import MAX_TEXTS
from zoran_ray.wire.event_texts import StreamTexts

NAMES = ("[EMAIL_aaaaaaaaaaaaaaaa]", "[API_KEY_bbbbbbbbbbbbbbbb]")
KNOWN = {NAMES[0]: "jean@example.fr", NAMES[1]: 'a"b\n\\[EMAIL_é'}


class PutBack:
    def text(self, text: str) -> str:
        return unmask(text, KNOWN.get)

    def json(self, text: str) -> str:
        return unmask(text, KNOWN.get, in_json)


def stream(endpoint: Endpoint, **options: Any) -> StreamTexts:
    return StreamTexts(
        endpoint,
        PutBack(),
        lambda is_json: StreamUnmasker(KNOWN.get, in_json if is_json else as_is),
        **options,
    )


TEXT = st.lists(
    st.one_of(st.sampled_from([*NAMES, "[", "[EMAIL_", "[A"]), st.text('[]_AZ aé\n"\\', max_size=5)),
    max_size=6,
).map("".join)


def cut(data: st.DataObject, text: Any) -> list[Any]:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


# -- streams of each dialect, and what a client makes of them -------------------------------------


def chat(texts: dict[str, list[str]]) -> Iterator[bytes]:
    head = {"id": "c", "object": "chat.completion.chunk", "model": "m"}

    def event(delta: Any, reason: str | None = None) -> bytes:
        choice = {"index": 1, "delta": delta, "finish_reason": reason}
        return said({**head, "choices": [choice]})

    yield event({"role": "assistant"})
    for piece in texts["thought"]:
        yield event({"reasoning": piece})
    for piece in texts["text"]:
        yield event({"content": piece})
    yield event({"tool_calls": [{"index": 0, "id": "t", "function": {"name": "f", "arguments": ""}}]})
    for piece in texts["arguments"]:
        yield event({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
    yield event({}, "tool_calls")
    yield said({**head, "choices": [], "usage": {"prompt_tokens": 1}})
    yield b"data: [DONE]\n\n"


def heard_chat(events: list[Any]) -> dict[str, str]:
    got: dict[str, str] = defaultdict(str)
    over = False
    for choice in (each for event in events for each in event["choices"]):
        assert choice["index"] == 1
        assert not over, "something came after the end"
        over = bool(choice["finish_reason"])
        got["thought"] += choice["delta"].get("reasoning") or ""
        got["text"] += choice["delta"].get("content") or ""
        for call in choice["delta"].get("tool_calls", ()):
            got["arguments"] += call["function"]["arguments"]
    return got


def completions(texts: dict[str, list[str]]) -> Iterator[bytes]:
    pieces = texts["text"]
    for number, piece in enumerate(pieces):
        reason = "stop" if number == len(pieces) - 1 else None
        choice = {"index": 0, "text": piece, "finish_reason": reason}
        yield said({"object": "text_completion", "choices": [choice]})
    yield b"data: [DONE]\n\n"


def heard_completions(events: list[Any]) -> dict[str, str]:
    choices = [choice for event in events for choice in event["choices"]]
    assert [bool(choice["finish_reason"]) for choice in choices] == [False] * (len(choices) - 1) + [True]
    return {"text": "".join(choice["text"] for choice in choices)}


def messages(texts: dict[str, list[str]]) -> Iterator[bytes]:
    def block(index: int, start: Any, kind: str, member: str, pieces: list[str]) -> Iterator[bytes]:
        yield named({"type": "content_block_start", "index": index, "content_block": start})
        for piece in pieces:
            yield named(
                {"type": "content_block_delta", "index": index, "delta": {"type": kind, member: piece}}
            )
        yield named({"type": "content_block_stop", "index": index})

    yield named(
        {"type": "message_start", "message": {"id": "m", "content": [], "usage": {"input_tokens": 1}}}
    )
    yield from block(
        0, {"type": "thinking", "thinking": ""}, "thinking_delta", "thinking", texts["thought"]
    )
    yield from block(1, {"type": "text", "text": ""}, "text_delta", "text", texts["text"])
    use = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    yield from block(2, use, "input_json_delta", "partial_json", texts["arguments"])
    yield named(
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 1}}
    )
    yield named({"type": "message_stop"})


def heard_messages(events: list[Any]) -> dict[str, str]:
    got: dict[str, str] = defaultdict(str)
    members = {"thinking": "thought", "text": "text", "partial_json": "arguments"}
    open_blocks = set()
    for event in events:
        if event["type"] == "content_block_start":
            open_blocks.add(event["index"])
        elif event["type"] == "content_block_stop":
            open_blocks.remove(event["index"])
        elif event["type"] == "content_block_delta":
            assert event["index"] in open_blocks
            kind, (member, piece) = event["delta"]["type"], list(event["delta"].items())[1]
            assert kind == ("input_json_delta" if member == "partial_json" else f"{member}_delta")
            got[members[member]] += piece
    return got


def responses(texts: dict[str, list[str]]) -> Iterator[bytes]:
    number = iter(range(1000))

    def event(kind: str, **fields: Any) -> bytes:
        return named({"type": f"response.{kind}", "sequence_number": next(number), **fields})

    yield event("created", response={"output": []})
    items = (
        ("reasoning_text", "thought", "text", {"content_index": 0}),
        ("output_text", "text", "text", {"content_index": 0}),
        ("function_call_arguments", "arguments", "arguments", {}),
    )
    for place, (kind, name, member, part) in enumerate(items):
        where = {"item_id": f"i{place}", "output_index": place, **part}
        for piece in texts[name]:
            yield event(f"{kind}.delta", **where, delta=piece)
        whole = {member: "".join(texts[name])}
        yield event(f"{kind}.done", **where, **whole)
        yield event("output_item.done", output_index=place, item={"type": "x", **whole})
    yield event("completed", response={"output": [{"text": "".join(texts["text"])}]})


def heard_responses(events: list[Any]) -> dict[str, str]:
    got: dict[str, str] = defaultdict(str)
    names = {"reasoning_text": "thought", "output_text": "text", "function_call_arguments": "arguments"}
    members = {"reasoning_text": "text", "output_text": "text", "function_call_arguments": "arguments"}
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    for event in events:
        _, kind, *end = event["type"].split(".")
        if end == ["delta"]:
            got[names[kind]] += event["delta"]
        elif end == ["done"] and kind in names:
            assert event[members[kind]] == got[names[kind]], "the deltas before are not the whole"
        elif end == ["done"]:
            item = event["item"]
            assert (item.get("text") or item.get("arguments") or "") in got.values() or not any(
                got.values()
            )
    assert events[-1]["response"]["output"][0]["text"] == got["text"]
    return got


def said(document: Any) -> bytes:
    return f"data: {json.dumps(document, ensure_ascii=False)}\n\n".encode()


def named(document: Any) -> bytes:
    return f"event: {document['type']}\n".encode() + said(document)


def events_in(data: bytes) -> list[Any]:
    found = []
    for event in data.decode().removesuffix("\n\n").split("\n\n"):
        lines = event.split("\n")
        document = lines[-1].removeprefix("data: ")
        if document != "[DONE]":
            found.append(json.loads(document))
            if len(lines) > 1:
                assert lines[0] == f"event: {found[-1]['type']}"
    return found


DIALECTS = {
    Endpoint.CHAT_COMPLETIONS: (chat, heard_chat),
    Endpoint.COMPLETIONS: (completions, heard_completions),
    Endpoint.MESSAGES: (messages, heard_messages),
    Endpoint.RESPONSES: (responses, heard_responses),
}


@pytest.mark.parametrize("endpoint", DIALECTS)
@given(data=st.data())
def test_the_deltas_make_the_whole_however_it_is_cut(endpoint: Endpoint, data: st.DataObject) -> None:
    speak, hear = DIALECTS[endpoint]
    whole = {name: data.draw(TEXT) for name in ("thought", "text", "arguments")}
    sent = list(speak({name: cut(data, text) for name, text in whole.items()}))
    texts = stream(endpoint)
    network = cut(data, b"".join(sent))
    out = b"".join(map(texts.feed, network))
    assert texts.finish() == b""
    heard = hear(events_in(out))
    for name, text in heard.items():
        assert text == unmask(whole[name], KNOWN.get, in_json if name == "arguments" else as_is)
    assert len(events_in(out)) == len(events_in(b"".join(sent))) + texts.added
    if not any("[" in text for text in whole.values()):
        assert out == b"".join(sent)


@pytest.mark.parametrize("endpoint", DIALECTS)
def test_what_says_nothing_of_anybody_passes_byte_for_byte(endpoint: Endpoint) -> None:
    speak, _ = DIALECTS[endpoint]
    pieces = ["Grüße [1] ", "🌍 [EMAIL_cccccccccccccccc] ", "."]
    sent = [*speak(dict.fromkeys(("thought", "text", "arguments"), pieces)), b": keep-alive\n\n"]
    texts = stream(endpoint)
    assert [texts.feed(event) for event in sent] == sent
    assert texts.added == 0


@pytest.mark.parametrize("endpoint", DIALECTS)
def test_what_is_held_when_a_stream_breaks_off_is_said(endpoint: Endpoint) -> None:
    speak, _ = DIALECTS[endpoint]
    sent = list(speak({"thought": [], "text": ["a[EMA", "x"], "arguments": []}))
    cut_at = next(number for number, event in enumerate(sent) if b"EMA" in event)
    texts = stream(endpoint)
    out = b"".join(map(texts.feed, sent[: cut_at + 1])) + texts.finish()
    assert b"a[EMA" not in out
    assert out.count(b"[EMA") == 1
    assert texts.added == 1


def test_text_that_is_json_stays_json() -> None:
    whole = json.dumps({"to": NAMES[1]})
    texts = stream(Endpoint.CHAT_COMPLETIONS, json_content=True)
    sent = chat({"thought": [], "text": list(whole), "arguments": []})
    assert json.loads(heard_chat(events_in(b"".join(map(texts.feed, sent))))["text"]) == {
        "to": KNOWN[NAMES[1]]
    }


@pytest.mark.parametrize(
    "odd",
    [
        b"data: {nonsense\n\n",
        b"data: [1]\n\n",
        b'data: {"choices":[1,{"delta":3},{"index":[],"delta":{"tool_calls":[1,{"function":2}]}}]}\n\n',
        b"event: x\n\n",
        b"\n\n",
        b'data: {"choices":\ndata: []}\n\n',
    ],
)
def test_odd_events_pass(odd: bytes) -> None:
    assert stream(Endpoint.CHAT_COMPLETIONS).feed(odd) == odd


def test_texts_without_end_are_refused() -> None:
    texts = stream(Endpoint.CHAT_COMPLETIONS)
    choices = [{"index": number, "delta": {"content": "["}} for number in range(MAX_TEXTS + 1)]
    with pytest.raises(UpstreamError):
        texts.feed(said({"choices": choices}))
