import json
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engines.providers.fake_gemini import (
    USAGE,
    answer,
    blocked,
    call,
    candidate,
    encoded,
    error,
    text,
    thought,
)
from tests.engines.providers.openai_shapes import (
    agrees_with_openai,
    from_chunks,
    from_completion,
    kept_by_a_client,
)
from tests.engines.providers.test_gemini_answer import ANSWERS
from zoran_ray.engines.providers.framing import Frames
from zoran_ray.engines.providers.gemini_answer import gemini_completion
from zoran_ray.engines.providers.gemini_request import gemini_body
from zoran_ray.engines.providers.gemini_stream import GeminiStream
from zoran_ray.engines.providers.refusals import Refusals
from zoran_ray.errors import ProviderBusy, UpstreamError, ZoranError

REPORTED = Refusals("Gemini", None, lambda: 0.0).reported


def chunks(told: list[Any]) -> list[dict[str, Any]]:
    numbers = count()
    stream = GeminiStream("asked-for", 5, REPORTED, lambda: f"call_{next(numbers)}")
    made = [chunk for event in told for chunk in stream.feed(event)]
    return made + stream.close()


def whole(answered: dict[str, Any]) -> dict[str, Any]:
    numbers = count()
    return from_completion(gemini_completion(answered, "asked-for", 5, lambda: f"call_{next(numbers)}"))


def events(answered: dict[str, Any], sizes: list[int]) -> list[dict[str, Any]]:
    """The same answer in events: texts cut into pieces, counts growing, the reason in the last event."""
    told, cut = [], iter(sizes * 1000)
    for each in answered.get("candidates", ()):
        rest = {name: value for name, value in each.items() if name not in ("content", "finishReason")}
        for part in each.get("content", {}).get("parts", ()):
            pieces = [part] if "functionCall" in part else _pieces(part, cut)
            for piece in pieces:
                told.append({**rest, "content": {"role": "model", "parts": [piece]}})
                rest.pop("logprobsResult", None)
        told.append({**rest, "finishReason": each["finishReason"]})
    shared = {name: value for name, value in answered.items() if name != "candidates"}
    growing = {**USAGE, "candidatesTokenCount": 1, "thoughtsTokenCount": 0}
    return [
        *({**shared, "candidates": [piece], "usageMetadata": growing} for piece in told[:-1]),
        {**shared, **({"candidates": told[-1:]} if told else {})},
    ]


def _pieces(part: dict[str, Any], cut: Any) -> list[dict[str, Any]]:
    said, made = part["text"], []
    signature = {name: part[name] for name in ("thoughtSignature",) if name in part}
    bare = {name: value for name, value in part.items() if name != "thoughtSignature"}
    while said:
        size = next(cut)
        made.append({**bare, "text": said[:size]})
        said = said[size:]
    return [*made, {**bare, "text": "", **signature}]


leaves = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5)
values = st.recursive(leaves, lambda deeper: st.lists(deeper, max_size=3), max_leaves=6)
arguments = st.dictionaries(st.text(max_size=5), values, max_size=3)
names = st.text("abc", min_size=1, max_size=5)
parts = st.one_of(
    st.text(max_size=20).map(text),
    st.text(max_size=20).map(thought),
    st.builds(call, names, arguments, st.sampled_from(["", "g1", "g2"]), st.sampled_from(["", "c2ln"])),
)
candidates = st.lists(
    st.tuples(st.lists(parts, max_size=4), st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY"])),
    min_size=1,
    max_size=3,
)
answers = candidates.map(
    lambda told: answer(*(candidate(*said, finish=why, index=i) for i, (said, why) in enumerate(told)))
)
sizes = st.lists(st.integers(1, 7), min_size=1, max_size=5)


@given(answers, sizes)
def test_a_streamed_answer_says_what_the_whole_one_says(answered: dict[str, Any], sizes: list[int]) -> None:
    assert from_chunks(chunks(events(answered, sizes))) == whole(answered)


@given(answers, sizes, st.lists(st.integers(0, 10_000), max_size=30))
def test_how_the_network_cuts_the_stream_makes_no_difference(
    answered: dict[str, Any], sizes: list[int], cuts: list[int]
) -> None:
    told = events(answered, sizes)
    stream = encoded(told)
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    frames = Frames()
    read = [json.loads(event.data) for a, b in pairwise(edges) for event in frames.feed(stream[a:b])]
    assert chunks(read) == chunks(told)


@pytest.mark.parametrize("name", ANSWERS)
def test_streams_are_what_openai_describes(name: str) -> None:
    made = chunks(events(ANSWERS[name], [3]))
    assert from_chunks(made) == whole(ANSWERS[name])
    for chunk in made:
        agrees_with_openai(chunk, "CreateChatCompletionStreamResponse")


@given(sizes)
def test_what_a_client_keeps_of_a_stream_can_be_sent_back(sizes: list[int]) -> None:
    said = [
        text("I look.", "dGV4dA=="),
        call("weather", {"city": "Orléans"}, "g1", "c2ln"),
        call("now", {}, "g2"),
    ]
    kept = kept_by_a_client(chunks(events(answer(candidate(thought("Hm."), *said)), sizes)))
    results = [{"role": "tool", "tool_call_id": call_id, "content": "x"} for call_id in ("g1", "g2")]
    sent = gemini_body({"messages": [{"role": "user", "content": "Hi"}, kept, *results]}, "gemini-3-flash")
    assert sent["contents"][1] == {"role": "model", "parts": said}


def test_calls_in_several_events_are_numbered_on() -> None:
    told = [
        answer(candidate(call("one", {"a": 1}, "g1", "c2ln"), finish=None)),
        answer(candidate(call("two", {}, "g2"), call("three", {}, "g3"), finish=None)),
        answer(candidate(text(""))),
    ]
    said = from_chunks(chunks(told))["choices"][0]
    assert [(call_id, name) for call_id, name, _, _ in said["calls"]] == [
        ("g1", "one"),
        ("g2", "two"),
        ("g3", "three"),
    ]
    assert said["finish"] == "tool_calls"


def test_counts_may_come_after_the_end_of_the_answer() -> None:
    told = [
        answer(candidate(text("Sunny.")), usageMetadata=None),
        {"usageMetadata": {"promptTokenCount": 3}},
    ]
    assert chunks(told)[-1]["usage"]["prompt_tokens"] == 3


def test_nothing_is_told_of_an_answer_that_is_over() -> None:
    told = [answer(candidate(text("Sunny."))), answer(candidate(text("And more."), finish=None))]
    assert from_chunks(chunks(told))["choices"][0]["content"] == "Sunny."


def test_a_reason_that_is_none_is_no_end() -> None:
    begun = answer(candidate(text("Sun"), finish="FINISH_REASON_UNSPECIFIED"))
    assert from_chunks(chunks([begun, answer(candidate(text("ny")))]))["choices"][0]["content"] == "Sunny"


def test_a_blocked_prompt() -> None:
    said = from_chunks(chunks([blocked()]))
    assert said["choices"][0]["finish"] == "content_filter"
    assert said["usage"]["prompt_tokens"] == 20


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        (error(429, "RESOURCE_EXHAUSTED", "prompt-canary"), ProviderBusy),
        (error(503, "UNAVAILABLE", "prompt-canary"), ProviderBusy),
        (error(500, "INTERNAL", "prompt-canary"), UpstreamError),
        ({"error": {}}, UpstreamError),
    ],
)
def test_an_error_object_ends_the_stream(reported: dict[str, Any], expected: type[ZoranError]) -> None:
    with pytest.raises(expected) as raised:
        chunks([answer(candidate(text("Sun"), finish=None)), reported])
    assert "prompt-canary" not in raised.value.message


@pytest.mark.parametrize(
    "told",
    [
        [],
        [{"usageMetadata": USAGE}],
        [answer(candidate(text("Sun"), finish=None))],
        [answer(candidate(text("a"))), answer(candidate(text("b"), finish=None, index=1))],
    ],
)
def test_a_stream_that_ends_too_soon_is_an_upstream_error(told: list[Any]) -> None:
    with pytest.raises(UpstreamError):
        chunks(told)


@pytest.mark.parametrize("told", [5, [], {"candidates": 5}, {"candidates": [{"index": True}]}])
def test_what_is_no_stream_of_geminis_is_an_upstream_error(told: Any) -> None:
    with pytest.raises(UpstreamError):
        chunks([told])


def test_a_model_that_fails_half_way_is_an_upstream_error() -> None:
    told = [answer(candidate(text("I "), finish=None)), answer(candidate(finish="MALFORMED_FUNCTION_CALL"))]
    with pytest.raises(UpstreamError, match="valid answer"):
        chunks(told)
