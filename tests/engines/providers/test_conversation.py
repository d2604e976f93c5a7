import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.engines.providers.conversation import (
    AssistantMessage,
    Call,
    Conversation,
    Image,
    Text,
    ToolMessage,
    UserMessage,
    read_conversation,
)
from zoran_ray.errors import InvalidRequest

HI = {"role": "user", "content": "Hi"}
PNG = "data:image/png;base64,iVBORw0KGgo="


def image(url: Any, **more: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, **more}}


def call(arguments: Any = '{"city":"Paris"}', call_id: Any = "c1", name: Any = "weather") -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


def calling(*calls: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(calls), **more}


def result(content: Any = "sunny", call_id: str = "c1") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def test_a_whole_conversation() -> None:
    read = read_conversation(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
            {"role": "user", "content": [{"type": "text", "text": "What is it?"}, image(PNG)]},
            {"role": "assistant", "content": "A cat.", "refusal": None, "annotations": [], "audio": None},
            {"role": "user", "content": "And the weather?"},
            calling(call(), call("", "c2", "now"), reasoning="Hm.", extra_content={"x": 1}),
            result(),
            result([{"type": "text", "text": "no"}, {"type": "text", "text": "on"}], "c2"),
        ]
    )
    assert read == Conversation(
        ("Be brief.", "Be kind."),
        (
            UserMessage(
                (
                    Text("What is it?"),
                    Image("messages[2].content[1].image_url", "image/png", "iVBORw0KGgo="),
                )
            ),
            AssistantMessage(("A cat.",)),
            UserMessage((Text("And the weather?"),)),
            AssistantMessage(
                (), (Call("c1", "weather", {"city": "Paris"}), Call("c2", "now", {})), {"x": 1}
            ),
            ToolMessage("c1", "weather", "sunny"),
            ToolMessage("c2", "now", "noon"),
        ),
    )


texts = st.text(max_size=20)
contents = texts | st.lists(texts.map(lambda text: {"type": "text", "text": text}), max_size=4)


def said(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


@given(
    st.lists(st.tuples(st.sampled_from(["system", "developer", "user", "assistant"]), contents), max_size=8)
)
def test_text_is_kept_to_the_letter(told: list[tuple[str, Any]]) -> None:
    told = [(role, content) for role, content in told if role != "user" or said(content)]
    messages = [{"role": role, "content": content} for role, content in told]
    read = read_conversation([*messages, HI])
    system = "".join(said(content) for role, content in told if role in ("system", "developer"))
    assert "".join(read.system) == system
    for role, kind in (("user", UserMessage), ("assistant", AssistantMessage)):
        expected = [said(content) for role_, content in told if role_ == role]
        found = [each for each in read.messages[:-1] if isinstance(each, kind)]
        assert [
            "".join(
                each.texts if isinstance(each, AssistantMessage) else [part.text for part in each.parts]
            )
            for each in found
        ] == expected


leaves = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5)
values = st.recursive(leaves, lambda deeper: st.lists(deeper, max_size=3), max_leaves=6)
arguments = st.dictionaries(st.text(max_size=5), values, max_size=4)


@given(arguments)
def test_arguments_arrive_whole(passed: dict[str, Any]) -> None:
    read = read_conversation([calling(call(json.dumps(passed))), result()])
    assert isinstance(read.messages[0], AssistantMessage)
    assert read.messages[0].calls[0].arguments == passed


@pytest.mark.parametrize(
    ("url", "media_type", "data", "address"),
    [
        (PNG, "image/png", "iVBORw0KGgo=", ""),
        ("DATA:image/JPEG;charset=x;BASE64,AAAA", "image/jpeg", "AAAA", ""),
        ("data:image/jpg;base64,AAAA", "image/jpeg", "AAAA", ""),
        ("https://example.com/cat.png?x=1,2", "", "", "https://example.com/cat.png?x=1,2"),
    ],
)
def test_images(url: str, media_type: str, data: str, address: str) -> None:
    where = "messages[0].content[0].image_url"
    for part in (image(url), image(url, detail="high"), {"type": "image_url", "image_url": url}):
        read = read_conversation([{"role": "user", "content": [part]}])
        assert read.messages == (UserMessage((Image(where, media_type, data, address),)),)


def test_what_an_assistant_refused_is_what_it_said() -> None:
    refused = {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}], "refusal": "Never."}
    assert read_conversation([refused, HI]).messages[0] == AssistantMessage(("No.", "Never."))


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        (None, "messages"),
        ([], "messages"),
        ([{"role": "system", "content": "Alone."}], "messages"),
        ([HI, {"role": "assistant", "content": "I am not"}], "messages"),
        (["Hi"], "messages[0]"),
        ([{"role": "narrator", "content": "Once"}], "messages[0].role"),
        ([{"content": "Hi"}], "messages[0].role"),
        ([{"role": "function", "name": "f", "content": "x"}], "messages[0].role"),
        ([{**HI, "name": "Ann"}], "messages[0].name"),
        ([{"role": "system", "name": "Ann", "content": "x"}, HI], "messages[0].name"),
        ([{"role": "assistant", "name": "Ann", "content": "x"}, HI], "messages[0].name"),
        ([{"role": "user", "content": ""}], "messages[0].content"),
        ([{"role": "user"}], "messages[0].content"),
        ([{"role": "user", "content": [{"type": "text", "text": ""}]}], "messages[0].content"),
        ([{"role": "user", "content": 5}], "messages[0].content"),
        ([{"role": "user", "content": [5]}], "messages[0].content[0]"),
        ([{"role": "user", "content": [{"type": "text", "text": 5}]}], "messages[0].content[0].text"),
        ([{"role": "user", "content": [{"type": "input_audio"}]}], "messages[0].content[0]"),
        ([{"role": "user", "content": [{"type": "file"}]}], "messages[0].content[0]"),
        ([{"role": "user", "content": [image(5)]}], "messages[0].content[0].image_url"),
        ([{"role": "user", "content": [image("ftp://x/y.png")]}], "messages[0].content[0].image_url.url"),
        (
            [{"role": "user", "content": [image("data:image/png,raw")]}],
            "messages[0].content[0].image_url.url",
        ),
        (
            [{"role": "user", "content": [image("data:image/png;base64,")]}],
            "messages[0].content[0].image_url.url",
        ),
        (
            [{"role": "user", "content": [image(PNG, detail="low")]}],
            "messages[0].content[0].image_url.detail",
        ),
        ([{"role": "system", "content": [image(PNG)]}, HI], "messages[0].content[0].image_url"),
        ([{"role": "assistant", "content": "x", "audio": {"id": "a"}}, HI], "messages[0].audio"),
        ([{"role": "assistant", "function_call": {"name": "f"}}, HI], "messages[0].function_call"),
        ([calling(5), HI], "messages[0].tool_calls[0]"),
        ([{"role": "assistant", "tool_calls": {"a": 1}}, HI], "messages[0].tool_calls"),
        ([calling({"id": "c", "type": "custom", "custom": {}}), HI], "messages[0].tool_calls[0]"),
        ([calling(call(call_id="")), HI], "messages[0].tool_calls[0].id"),
        ([calling(call(name=None)), HI], "messages[0].tool_calls[0].function.name"),
        ([calling(call("{")), HI], "messages[0].tool_calls[0].function.arguments"),
        ([calling(call("[1]")), HI], "messages[0].tool_calls[0].function.arguments"),
        ([calling(call({"a": 1})), HI], "messages[0].tool_calls[0].function.arguments"),
        ([calling(call()), result(call_id="c2")], "messages[1].tool_call_id"),
        ([calling(call()), result([image(PNG)])], "messages[1].content[0].image_url"),
    ],
)
def test_what_is_no_conversation_is_refused_by_name(messages: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        read_conversation(messages)
    assert raised.value.param == param


@pytest.mark.parametrize("text", ["secret-prompt", '{"secret-prompt'])
def test_errors_do_not_quote_what_was_said(text: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        read_conversation([calling(call(text)), result()])
    assert "secret-prompt" not in f"{raised.value.message}{raised.value.__cause__!r}"
