import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.errors import UpstreamError
from zoran_ray.wire import Endpoint, Usage, UsageFilter
from zoran_ray.wire import sse as sse_module

CHAT, RESPONSES, MESSAGES = Endpoint.CHAT_COMPLETIONS, Endpoint.RESPONSES, Endpoint.MESSAGES
COUNTS = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
DONE = b"data: [DONE]\n\n"
PING = b": keep-alive\n\n"


def data(document: Any, *, compact: bool = True) -> bytes:
    separators = (",", ":") if compact else (", ", ": ")
    return f"data: {json.dumps(document, separators=separators)}\n\n".encode()


def named(name: str, **document: Any) -> bytes:
    return f"event: {name}\n".encode() + data({"type": name, **document})


def token(text: str, **more: Any) -> bytes:
    return data({"id": "c", "choices": [{"index": 0, "delta": {"content": text}}], **more})


USAGE_ONLY = data({"id": "c", "choices": [], "usage": COUNTS})


def run(
    stream: bytes, cuts: list[int], endpoint: Endpoint = CHAT, **options: Any
) -> tuple[bytes, UsageFilter]:
    filter_ = UsageFilter(endpoint, **options)
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    out = b"".join(filter_.feed(stream[a:b]) for a, b in pairwise(edges))
    return out + filter_.flush(), filter_


def seen(filter_: UsageFilter) -> tuple[Any, ...]:
    return filter_.usage, filter_.events, filter_.finished, filter_.failed


tricky = st.text(alphabet='ab"\\\n{}:', max_size=6) | st.sampled_from(
    ['"choices":[],"usage":{', "\n\ndata: [DONE]\n\n", 'data: {"error":', "event: message_stop"]
)
events = st.one_of(
    tricky.map(token),
    tricky.map(lambda text: token(text, usage=COUNTS)),
    st.just(USAGE_ONLY),
    st.just(data({"choices": [], "usage": COUNTS}, compact=False)),
    st.just(token("", usage=None)),
    st.just(DONE),
    st.just(PING),
    st.just(data({"error": {"message": "x", "code": 500}}, compact=False)),
    st.just(named("response.completed", response={"usage": {"input_tokens": 1, "output_tokens": 2}})),
    st.just(named("message_delta", usage={"input_tokens": 4, "output_tokens": 5})),
    st.just(b"\n"),
    st.just(b"data: cut off"),
)
streams = st.lists(events, max_size=9).map(b"".join)
cuts = st.lists(st.integers(0, 10_000), max_size=30)
endpoints = st.sampled_from([endpoint for endpoint in Endpoint if endpoint.streams])


@given(streams, cuts, endpoints)
def test_without_dropping_every_byte_comes_out(stream: bytes, cuts: list[int], endpoint: Endpoint) -> None:
    assert run(stream, cuts, endpoint)[0] == stream


@given(streams, cuts, endpoints, st.booleans())
def test_how_the_stream_is_cut_makes_no_difference(
    stream: bytes, cuts: list[int], endpoint: Endpoint, drop: bool
) -> None:
    whole_out, whole = run(stream, [], endpoint, drop_usage=drop)
    cut_out, cut = run(stream, cuts, endpoint, drop_usage=drop)
    assert cut_out == whole_out
    assert seen(cut) == seen(whole)


@given(
    st.lists(st.tuples(tricky.map(token) | st.just(PING) | st.just(DONE), st.booleans()), max_size=9), cuts
)
def test_dropping_removes_the_usage_only_events_and_nothing_else(
    parts: list[tuple[bytes, bool]], cuts: list[int]
) -> None:
    stream = b"".join(event + USAGE_ONLY * usage for event, usage in parts)
    out, filter_ = run(stream, cuts, drop_usage=True)
    assert out == b"".join(event for event, _ in parts)
    assert (filter_.usage is not None) == any(usage for _, usage in parts)


@given(st.lists(tricky, max_size=9), cuts)
def test_generated_text_is_never_mistaken_for_framing(texts: list[str], cuts: list[int]) -> None:
    stream = b"".join(map(token, texts))
    out, filter_ = run(stream, cuts, drop_usage=True)
    assert out == stream
    assert seen(filter_) == (None, len(texts), False, False)


@given(streams, st.integers(0, 10_000))
def test_a_stream_that_breaks_off_ends_after_a_whole_event(stream: bytes, cut: int) -> None:
    filter_ = UsageFilter(CHAT)
    out = filter_.feed(stream[: cut % (len(stream) + 1)])
    assert out == b"" or out.endswith(b"\n\n")


def test_whole_events_pass_as_the_same_object() -> None:
    filter_ = UsageFilter(CHAT, drop_usage=True)
    chunk = token("4") + token("2")
    assert filter_.feed(chunk) is chunk
    assert filter_.events == 2


def test_an_event_comes_out_with_its_last_byte() -> None:
    event = token("42")
    for cut in range(1, len(event)):
        filter_ = UsageFilter(CHAT)
        assert (filter_.feed(event[:cut]), filter_.feed(event[cut:])) == (b"", event)


def test_a_chat_stream() -> None:
    out, filter_ = run(token("42") + USAGE_ONLY + DONE, [], drop_usage=True)
    assert out == token("42") + DONE
    assert seen(filter_) == (Usage(9, 3), 3, True, False)


def test_usage_on_every_chunk_is_kept_and_the_last_one_counts() -> None:
    first = token("4", usage={"prompt_tokens": 9, "completion_tokens": 1})
    second = token("2", usage={"prompt_tokens": 9, "completion_tokens": 2})
    out, filter_ = run(first + second, [], drop_usage=True)
    assert out == first + second
    assert filter_.usage == Usage(9, 2)


def test_a_responses_stream() -> None:
    counts = {"input_tokens": 9, "output_tokens": 3, "input_tokens_details": {"cached_tokens": 4}}
    begun = named("response.created", response={"usage": None, "tools": [{"parameters": {"usage": {}}}]})
    assert seen(run(begun, [], RESPONSES)[1]) == (None, 1, False, False)
    for name, failed in (("completed", False), ("incomplete", False), ("failed", True)):
        _, filter_ = run(begun + named(f"response.{name}", response={"usage": counts}), [], RESPONSES)
        assert seen(filter_) == (Usage(9, 3, 4), 2, True, failed)


def test_a_messages_stream() -> None:
    start = named("message_start", message={"usage": {"input_tokens": 9, "output_tokens": 0}})
    delta = named("message_delta", delta={}, usage={"input_tokens": 9, "output_tokens": 3})
    assert seen(run(start, [], MESSAGES)[1]) == (Usage(9), 1, False, False)
    assert seen(run(start + delta + named("message_stop"), [], MESSAGES)[1]) == (
        Usage(9, 3),
        3,
        True,
        False,
    )


@pytest.mark.parametrize(
    ("endpoint", "event"),
    [
        (CHAT, data({"error": {"message": "x", "code": 500}}, compact=False)),
        (CHAT, data({"error": {"message": "x", "code": "c"}})),
        (RESPONSES, named("error", message="x")),
        (MESSAGES, named("error", error={"message": "x"})),
    ],
)
def test_errors_of_the_engine_are_noticed_and_passed_on(endpoint: Endpoint, event: bytes) -> None:
    out, filter_ = run(event, [3], endpoint)
    assert out == event
    assert filter_.failed
    assert not filter_.finished


def test_unreadable_usage_is_no_usage() -> None:
    assert run(b'data: {"usage":{oops\n\n', [])[1].usage is None
    assert run(b'event: "usage":{\n\n', [])[1].usage is None


def test_an_event_larger_than_many_chunks() -> None:
    large = token("x" * 1_000_000)
    out, filter_ = run(large + USAGE_ONLY + DONE, list(range(0, 1_000_000, 65_536)), drop_usage=True)
    assert out == large + DONE
    assert filter_.events == 3


def test_an_event_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse_module, "MAX_EVENT_BYTES", 100)
    filter_ = UsageFilter(CHAT)
    filter_.feed(b"x" * 100)
    with pytest.raises(UpstreamError, match="does not end"):
        filter_.feed(b"x")
