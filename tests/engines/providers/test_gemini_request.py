from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.engines.providers.gemini_request import gemini_body
from zoran_ray.errors import InvalidRequest

NEWER, OLDER = "gemini-3-flash", "gemini-2.5-flash"
HI = {"role": "user", "content": "Hi"}
CONTENTS = [{"role": "user", "parts": [{"text": "Hi"}]}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {"name": "weather", "description": "Tells it.", "parameters": SCHEMA}
TOOLS = [{"type": "function", "function": WEATHER}]
STRICT = [{"type": "function", "function": {**WEATHER, "strict": True}}]
DECLARED = [
    {
        "functionDeclarations": [
            {"name": "weather", "description": "Tells it.", "parametersJsonSchema": SCHEMA}
        ]
    }
]
NAMED = {"type": "function", "function": {"name": "weather"}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}


def body(*messages: dict[str, Any], model: str = NEWER, **more: Any) -> dict[str, Any]:
    document = {"model": "gemini/flash", "messages": list(messages) or [HI], **more}
    return gemini_body(document, model)


def contents(*messages: dict[str, Any], model: str = NEWER) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = body(*messages, model=model)["contents"]
    return told


def calling(mode: str, *names: str) -> dict[str, Any]:
    config = {"mode": mode} | ({"allowedFunctionNames": list(names)} if names else {})
    return {"tools": DECLARED, "toolConfig": {"functionCallingConfig": config}}


def call(call_id: str = "c1", arguments: str = '{"city":"Paris"}', **more: Any) -> dict[str, Any]:
    return {
        "id": call_id,
        "type": "function",
        "function": {"name": "weather", "arguments": arguments},
        **more,
    }


def result(content: str = "sunny", call_id: str = "c1") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def signed(signature: Any) -> dict[str, Any]:
    return {"extra_content": {"google": {"thought_signature": signature}}}


@pytest.mark.parametrize(
    ("asked", "settings"),
    [
        ({"temperature": 2, "top_p": 1, "top_k": 40}, {"temperature": 2.0, "topP": 1.0, "topK": 40}),
        (
            {"presence_penalty": -1, "frequency_penalty": 0.5},
            {"presencePenalty": -1.0, "frequencyPenalty": 0.5},
        ),
        ({"seed": -7}, {"seed": -7}),
        ({"n": 3}, {"candidateCount": 3}),
        ({"max_tokens": 5}, {"maxOutputTokens": 5}),
        ({"max_completion_tokens": 7}, {"maxOutputTokens": 7}),
        ({"stop": "END"}, {"stopSequences": ["END"]}),
        ({"logprobs": True}, {"responseLogprobs": True}),
        ({"logprobs": True, "top_logprobs": 3}, {"responseLogprobs": True, "logprobs": 3}),
        ({"response_format": {"type": "json_object"}}, {"responseMimeType": "application/json"}),
        (
            {"response_format": FORMAT},
            {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA},
        ),
        (
            {"reasoning_effort": "minimal"},
            {"thinkingConfig": {"thinkingLevel": "minimal", "includeThoughts": True}},
        ),
        (
            {"reasoning_effort": "xhigh"},
            {"thinkingConfig": {"thinkingLevel": "high", "includeThoughts": True}},
        ),
        (
            {"reasoning_effort": "low", "model_": OLDER},
            {"thinkingConfig": {"thinkingBudget": 1024, "includeThoughts": True}},
        ),
        (
            {"reasoning_effort": "high", "model_": OLDER},
            {"thinkingConfig": {"thinkingBudget": 24_576, "includeThoughts": True}},
        ),
        (
            {"reasoning_effort": "none", "model_": OLDER},
            {"thinkingConfig": {"thinkingBudget": 0, "includeThoughts": False}},
        ),
        (
            {"thinking_token_budget": 500},
            {"thinkingConfig": {"thinkingBudget": 500, "includeThoughts": True}},
        ),
    ],
)
def test_settings(asked: dict[str, Any], settings: dict[str, Any]) -> None:
    model = asked.get("model_", NEWER)
    told = body(model=model, **{name: value for name, value in asked.items() if name != "model_"})
    assert told == {"contents": CONTENTS, "generationConfig": settings}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, {}),
        ({"stream": True, "stream_options": {"include_usage": True}, "user": "u"}, {}),
        ({"tools": [], "tool_choice": "none"}, {}),
        ({"tools": TOOLS}, calling("AUTO")),
        ({"tools": TOOLS, "tool_choice": "none"}, calling("NONE")),
        ({"tools": TOOLS, "tool_choice": "none", "parallel_tool_calls": False}, calling("NONE")),
        ({"tools": TOOLS, "tool_choice": "required"}, calling("ANY")),
        ({"tools": TOOLS, "tool_choice": NAMED}, calling("ANY", "weather")),
        ({"tools": STRICT}, calling("VALIDATED")),
        ({"tools": STRICT, "tool_choice": "required"}, calling("ANY")),
    ],
)
def test_tools(asked: dict[str, Any], told: dict[str, Any]) -> None:
    assert body(**asked) == {"contents": CONTENTS, **told}


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"tools": TOOLS, "parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"logit_bias": {"1": 1}}, "logit_bias"),
        ({"temperature": 2.1}, "temperature"),
        ({"n": 9}, "n"),
        ({"n": 0}, "n"),
        ({"stop": list("abcdef")}, "stop"),
        ({"top_logprobs": 2}, "logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"reasoning_effort": "none"}, "reasoning_effort"),
        ({"reasoning_effort": "low", "thinking_token_budget": 5}, "thinking_token_budget"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"prediction": {}}, "prediction"),
        ({"min_p": 0.5}, "min_p"),
    ],
)
def test_what_gemini_cannot_do_is_refused_by_name(asked: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        body(**asked)
    assert raised.value.param == param


def test_messages_of_the_system_are_the_instruction() -> None:
    told = body(
        {"role": "system", "content": "Be brief."}, HI, {"role": "developer", "content": "Be kind."}
    )
    assert told == {
        "systemInstruction": {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]},
        "contents": CONTENTS,
    }


def test_a_tool_loop() -> None:
    answer = {
        "role": "assistant",
        "content": "I look.",
        "tool_calls": [call(**signed("c2ln")), call("c2", "")],
    }
    assert contents(HI, answer, result(), result("", "c2"), HI) == [
        CONTENTS[0],
        {
            "role": "model",
            "parts": [
                {"text": "I look."},
                {
                    "functionCall": {"id": "c1", "name": "weather", "args": {"city": "Paris"}},
                    "thoughtSignature": "c2ln",
                },
                {"functionCall": {"id": "c2", "name": "weather", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "c1", "name": "weather", "response": {"output": "sunny"}}},
                {"functionResponse": {"id": "c2", "name": "weather", "response": {"output": ""}}},
            ],
        },
        CONTENTS[0],
    ]


@pytest.mark.parametrize("extra", [{}, signed(5), signed(""), {"extra_content": {"google": 5}}])
def test_calls_of_other_models_get_a_stand_in_for_the_signature(extra: dict[str, Any]) -> None:
    answer = {"role": "assistant", "tool_calls": [call(**extra), call("c2")]}
    newer = contents(HI, answer, result(), result("x", "c2"))[1]["parts"]
    assert [part.get("thoughtSignature") for part in newer] == ["skip_thought_signature_validator", None]
    older = contents(HI, answer, result(), result("x", "c2"), model=OLDER)[1]["parts"]
    assert [part.get("thoughtSignature") for part in older] == [None, None]


def test_the_signature_of_a_text_goes_back_with_it() -> None:
    answer = {"role": "assistant", "content": "Yes.", **signed("c2ln")}
    assert contents(HI, answer, HI)[1]["parts"] == [{"text": "Yes.", "thoughtSignature": "c2ln"}]


def test_images() -> None:
    urls = [
        "data:image/webp;base64,AAAA",
        "https://example.com/cat.PNG?x=1",
        "https://example.com/cat",
        "http://[/x.jpg",
    ]
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    assert contents({"role": "user", "content": parts})[0]["parts"] == [
        {"inlineData": {"mimeType": "image/webp", "data": "AAAA"}},
        {"fileData": {"fileUri": urls[1], "mimeType": "image/png"}},
        {"fileData": {"fileUri": urls[2]}},
        {"fileData": {"fileUri": urls[3], "mimeType": "image/jpeg"}},
    ]
    with pytest.raises(InvalidRequest) as raised:
        contents(
            {"role": "user", "content": [{"type": "image_url", "image_url": "data:text/html;base64,AA"}]}
        )
    assert raised.value.param == "messages[0].content[0].image_url"


spoken = st.text(min_size=1, max_size=20)
roles = st.sampled_from(["system", "user", "assistant"])


@given(st.lists(st.tuples(roles, spoken), max_size=8))
def test_every_word_gets_there_in_order_and_turns_alternate(said: list[tuple[str, str]]) -> None:
    told = body(*({"role": role, "content": text} for role, text in said), HI)
    instruction = told.get("systemInstruction", {"parts": []})["parts"]
    assert [part["text"] for part in instruction] == [text for role, text in said if role == "system"]
    words = [(turn["role"], part["text"]) for turn in told["contents"] for part in turn["parts"]]
    sides = {"user": "user", "assistant": "model"}
    assert words == [(sides[role], text) for role, text in said if role in sides] + [("user", "Hi")]
    turns = [turn["role"] for turn in told["contents"]]
    assert all(one != other for one, other in pairwise(turns))
