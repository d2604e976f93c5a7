import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.errors import InvalidRequest
from zoran_ray.wire import Endpoint, Limits, RequestBody, parse
from zoran_ray.wire.request import DEFAULT_COMPLETION_TOKENS, MEDIA_TOKENS

CHAT = Endpoint.CHAT_COMPLETIONS
HELLO = [{"role": "user", "content": "hello"}]
NAMES = [
    "model",
    "messages",
    "stream",
    "n",
    "stream_options",
    "zoran",
    "input",
    "prompt",
    "max_tokens",
    "metadata",
]


def asked(endpoint: Endpoint = CHAT, limits: Limits | None = None, **members: Any) -> RequestBody:
    defaults: dict[str, Any] = {"model": "local/pocket"}
    if endpoint in (CHAT, Endpoint.MESSAGES, Endpoint.COUNT_TOKENS):
        defaults["messages"] = HELLO
    return parse(json.dumps(defaults | members).encode(), endpoint, limits or Limits())


def refused(endpoint: Endpoint = CHAT, **members: Any) -> tuple[str | None, str]:
    with pytest.raises(InvalidRequest) as raised:
        asked(endpoint, **members)
    return raised.value.param, raised.value.message


def test_what_the_gateway_reads() -> None:
    body = asked(stream=True, n=2, max_tokens=8, stream_options={"include_usage": True})
    assert (body.model, body.stream, body.include_usage, body.n, body.max_tokens) == (
        "local/pocket",
        True,
        True,
        2,
        8,
    )
    body = asked()
    assert (body.stream, body.include_usage, body.n, body.max_tokens) == (False, False, 1, None)


def test_null_is_as_good_as_absent() -> None:
    names = (
        "stream",
        "n",
        "temperature",
        "stream_options",
        "chat_template",
        "chat_template_kwargs",
        "max_tokens",
    )
    body = asked(**dict.fromkeys(names))
    assert (body.stream, body.n, body.max_tokens) == (False, 1, None)


@pytest.mark.parametrize(
    ("members", "param", "says"),
    [
        ({"model": None}, "model", "must name a model"),
        ({"model": ""}, "model", "must name a model"),
        ({"model": 7}, "model", "expected a string, but got an integer instead"),
        ({"model": "m" * 257}, "model", "at most 256"),
        ({"model": "a\nb"}, "model", "printable"),
        ({"stream": "true"}, "stream", "expected a boolean, but got a string instead"),
        ({"stream": 1}, "stream", "expected a boolean"),
        ({"n": 0}, "n", "between 1 and 16"),
        ({"n": 16_384}, "n", "between 1 and 16"),
        ({"n": True}, "n", "expected an integer, but got a boolean"),
        ({"n": 1.5}, "n", "expected an integer, but got a decimal number"),
        ({"best_of": 17}, "best_of", "between 1 and 16"),
        ({"temperature": "hot"}, "temperature", "expected a number, but got a string instead"),
        ({"top_p": [1]}, "top_p", "expected a number, but got an array instead"),
        ({"max_tokens": "8"}, "max_tokens", "expected an integer"),
        ({"seed": 2**70}, "seed", "expected an integer"),
        ({"messages": None}, "messages", "Missing required parameter"),
        ({"messages": "hi"}, "messages", "expected an array"),
        ({"messages": []}, "messages", "at least one"),
        ({"stream_options": True}, "stream_options", "expected an object"),
        (
            {"stream_options": {"include_usage": "yes"}},
            "stream_options.include_usage",
            "expected a boolean",
        ),
        ({"zoran": "x"}, "zoran", "expected an object"),
        ({"zoran": None}, "zoran", "expected an object, but got null"),
        ({"chat_template": "{{ 1 }}"}, "chat_template", "CVE-2025-61620"),
        (
            {"chat_template_kwargs": {"chat_template": "x"}},
            "chat_template_kwargs.chat_template",
            "CVE-2025-61620",
        ),
        ({"chat_template_kwargs": []}, "chat_template_kwargs", "expected an object"),
        ({"media_io_kwargs": {}}, "media_io_kwargs", "not accepted"),
        ({"mm_processor_kwargs": {"a": 1}}, "mm_processor_kwargs", "not accepted"),
        ({"kv_transfer_params": {"remote_host": "x"}}, "kv_transfer_params", "not accepted"),
    ],
)
def test_refusals_name_the_field(members: dict[str, Any], param: str, says: str) -> None:
    named, message = refused(**members)
    assert named == param
    assert says in message


def test_an_absent_model_is_refused() -> None:
    with pytest.raises(InvalidRequest) as raised:
        parse(b"{}", Endpoint.EMBEDDINGS, Limits())
    assert raised.value.param == "model"


@pytest.mark.parametrize("endpoint", [Endpoint.MESSAGES, Endpoint.COUNT_TOKENS])
def test_anthropic_bodies_need_messages_too(endpoint: Endpoint) -> None:
    assert refused(endpoint, messages={})[0] == "messages"
    assert asked(endpoint).model == "local/pocket"


@pytest.mark.parametrize("endpoint", [Endpoint.EMBEDDINGS, Endpoint.COUNT_TOKENS])
def test_where_nothing_streams_stream_means_nothing(endpoint: Endpoint) -> None:
    assert not asked(endpoint, stream=True).stream


def test_media_is_looked_for_wherever_an_endpoint_takes_it() -> None:
    part = {"type": "image_url", "image_url": {"url": "http://169.254.169.254/"}}
    item = {"type": "input_image", "image_url": "http://169.254.169.254/"}
    source = {"type": "image", "source": {"type": "url", "url": "http://169.254.169.254/"}}
    for endpoint, name, each in (
        (CHAT, "messages", part),
        (Endpoint.EMBEDDINGS, "messages", part),
        (Endpoint.RESPONSES, "input", item),
        (Endpoint.MESSAGES, "messages", source),
        (Endpoint.COUNT_TOKENS, "messages", source),
    ):
        param, _ = refused(endpoint, **{name: [{"role": "user", "content": [each]}]})
        assert param is not None
        assert param.startswith(f"{name}[0].content[0]")


def test_allowed_hosts_come_from_the_limits() -> None:
    content = [{"type": "image_url", "image_url": {"url": "https://images.example.org/x.png"}}]
    allowed = Limits(media_hosts=frozenset({"images.example.org"}))
    assert asked(limits=allowed, messages=[{"role": "user", "content": content}])


def test_usage_is_asked_for_only_where_the_caller_did_not() -> None:
    plain = asked(stream=True)
    assert plain.lacks_usage
    assert json.loads(plain.encoded(plain.usage_options())) == {
        "model": "local/pocket",
        "messages": HELLO,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    for body in (
        asked(),
        asked(stream=True, stream_options={"include_usage": True}),
        asked(Endpoint.RESPONSES, stream=True),
        asked(Endpoint.MESSAGES, stream=True),
    ):
        assert not body.lacks_usage
        assert body.usage_options() == {}


def test_stream_options_without_usage_are_completed_and_change_nothing_else() -> None:
    body = asked(stream=True, stream_options={"include_obfuscation": False, "continuous_usage_stats": True})
    sent = json.loads(body.encoded(body.usage_options()))
    assert sent["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    null = asked(stream=True, stream_options=None)
    assert json.loads(null.encoded(null.usage_options()))["stream_options"] == {"include_usage": True}


def test_members_are_spliced_in_front_of_the_untouched_body() -> None:
    raw = b' {"model" : "m", "messages":[{"role":"user","content":"\\u00e9\\ud83d\\ude00"}], "seed": 1e3} '
    raw = raw.replace(b"1e3", b"7")
    body = parse(raw, CHAT, Limits())
    assert body.encoded({}) is raw
    assert body.encoded({"cache_salt": "s"}) == b'{"cache_salt":"s",' + raw.lstrip(b" {")


def test_members_given_to_the_engine_replace_those_of_the_caller() -> None:
    body = asked(cache_salt="of another tenant")
    assert json.loads(body.encoded({"cache_salt": "s"})) == {
        "model": "local/pocket",
        "messages": HELLO,
        "cache_salt": "s",
    }


def test_our_own_member_does_not_reach_the_engine() -> None:
    body = asked(zoran={"strategy": "x"})
    assert body.document["zoran"] == {"strategy": "x"}
    assert json.loads(body.encoded({})) == {"model": "local/pocket", "messages": HELLO}


def test_estimates() -> None:
    def estimated(endpoint: Endpoint = CHAT, **members: Any) -> int:
        return asked(endpoint, **members).estimated_tokens

    base = estimated(max_tokens=1)
    assert 10 < base < 40
    assert estimated(max_tokens=101) == pytest.approx(base + 100, abs=1)
    assert estimated(max_tokens=101, max_completion_tokens=1) < base + 20
    assert estimated(max_tokens=100, n=4) >= 4 * 100
    assert estimated() >= DEFAULT_COMPLETION_TOKENS
    assert estimated(Endpoint.COMPLETIONS, prompt=["a", "b"], max_tokens=50) >= 100
    assert 100 <= estimated(Endpoint.COMPLETIONS, prompt=[1, 2, 3], max_tokens=100) < 140
    assert estimated(Endpoint.RESPONSES, input="x", max_output_tokens=100) >= 100
    assert estimated(Endpoint.EMBEDDINGS, input="x" * 400) in range(100, 120)
    assert estimated(max_tokens=-1000) >= 1


def test_a_picture_counts_as_a_picture_and_not_as_its_bytes() -> None:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1_000_000}}
    body = asked(messages=[{"role": "user", "content": [part]}], max_tokens=1)
    assert MEDIA_TOKENS <= body.estimated_tokens < MEDIA_TOKENS + 100


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda v: (
        st.lists(v, max_size=3) | st.dictionaries(st.sampled_from(["url", "image_url", "content", "a"]), v)
    ),
    max_leaves=9,
)
bodies = st.dictionaries(st.sampled_from(NAMES), values).map(
    lambda d: json.dumps({"model": "m", "messages": HELLO} | d).encode()
)


@given(st.binary(max_size=64) | bodies, st.sampled_from(Endpoint))
def test_any_body_is_parsed_or_refused_and_then_can_be_sent(raw: bytes, endpoint: Endpoint) -> None:
    try:
        body = parse(raw, endpoint, Limits())
    except InvalidRequest:
        return
    sent = json.loads(body.encoded({**body.usage_options(), "cache_salt": "s"}))
    assert sent["cache_salt"] == "s"
    assert "zoran" not in sent
    assert body.estimated_tokens >= 1
