"""Chat completions through the `openai` SDK."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

pytestmark = [pytest.mark.integration, pytest.mark.engine]

MODEL = "local/pocket"
SUM: list[Any] = [{"role": "user", "content": "What is 17+25?"}]
COLOUR = {
    "type": "object",
    "properties": {"colour": {"enum": ["red", "blue"]}},
    "required": ["colour"],
    "additionalProperties": False,
}
PAINT: Any = {
    "type": "function",
    # `strict` makes vLLM hold the arguments to the schema, which so small a model would not find by itself.
    "function": {"name": "paint", "description": "", "strict": True, "parameters": COLOUR},
}


@pytest.fixture(scope="module")
def client(base_url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=base_url, api_key="none", max_retries=0, timeout=120) as made:
        yield made


def test_answer(client: OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=SUM, max_tokens=20)
    choice = answer.choices[0]
    assert choice.message.content == "42"
    assert choice.message.role == "assistant"
    assert choice.finish_reason == "stop"
    assert answer.model == MODEL
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer._request_id


def test_bare_name(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="pocket", messages=SUM, max_tokens=20)
    assert answer.choices[0].message.content == "42"


def test_history(client: OpenAI) -> None:
    messages: Any = [
        *SUM,
        {"role": "assistant", "content": "42"},
        {"role": "user", "content": "What is 30-12?"},
    ]
    answer = client.chat.completions.create(model=MODEL, messages=messages, max_tokens=20)
    assert answer.choices[0].message.content == "18"


def test_stream(client: OpenAI) -> None:
    chunks = list(client.chat.completions.create(model=MODEL, messages=SUM, max_tokens=20, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "42"
    assert [c.choices[0].finish_reason for c in chunks][-1] == "stop"
    assert all(c.usage is None for c in chunks), "usage was not asked for"


def test_stream_with_usage(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model=MODEL, messages=SUM, max_tokens=20, stream=True, stream_options={"include_usage": True}
    )
    *_, last = stream
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens > 0


def test_max_tokens(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=SUM, max_completion_tokens=3, extra_body={"ignore_eos": True}
    )
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3


def test_several_choices_and_seed(client: OpenAI) -> None:
    def asked() -> list[str | None]:
        answer = client.chat.completions.create(
            model=MODEL, messages=SUM, max_tokens=8, n=3, seed=7, temperature=2.0
        )
        return [choice.message.content for choice in answer.choices]

    first = asked()
    assert len(first) == 3
    assert first == asked()


def test_logprobs(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=SUM, max_tokens=20, logprobs=True, top_logprobs=2
    )
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert logprobs.content[0].token == "4"
    assert logprobs.content[0].logprob <= 0
    assert len(logprobs.content[0].top_logprobs) == 2


def test_stop(client: OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=SUM, max_tokens=20, stop=["2"])
    assert answer.choices[0].message.content == "4"
    assert answer.choices[0].finish_reason == "stop"


def test_logit_bias(client: OpenAI) -> None:
    # The vocabulary is bytes, so the token of a character is its code.
    answer = client.chat.completions.create(
        model=MODEL, messages=SUM, max_tokens=2, logit_bias={str(ord("7")): 100}
    )
    assert answer.choices[0].message.content == "77"


def test_json_schema(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=SUM,
        max_tokens=60,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "colour", "strict": True, "schema": COLOUR},
        },
    )
    assert json.loads(answer.choices[0].message.content or "")["colour"] in ("red", "blue")


def test_engine_extras(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=SUM,
        max_tokens=20,
        extra_body={"structured_outputs": {"choice": ["maybe", "never"]}},
    )
    assert answer.choices[0].message.content in ("maybe", "never")


def test_named_tool(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=SUM,
        max_tokens=200,
        tools=[PAINT],
        tool_choice={"type": "function", "function": {"name": "paint"}},
    )
    (call,) = answer.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "paint"
    assert json.loads(call.function.arguments)["colour"] in ("red", "blue")


def test_named_tool_streamed(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model=MODEL,
        messages=SUM,
        max_tokens=200,
        stream=True,
        tools=[PAINT],
        tool_choice={"type": "function", "function": {"name": "paint"}},
    )
    calls = [call for chunk in stream for call in chunk.choices[0].delta.tool_calls or []]
    arguments = "".join((call.function.arguments or "") if call.function else "" for call in calls)
    assert json.loads(arguments)["colour"] in ("red", "blue")


def test_free_to_use_a_tool(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=SUM,
        max_tokens=20,
        tools=[PAINT],
        tool_choice="auto",
        parallel_tool_calls=True,
    )
    assert answer.choices[0].message.content == "42", "it knows no tools"
    assert not answer.choices[0].message.tool_calls


def test_no_tool(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=SUM, max_tokens=20, tools=[PAINT], tool_choice="none"
    )
    assert answer.choices[0].message.content == "42"


def test_text_parts(client: OpenAI) -> None:
    messages: Any = [{"role": "user", "content": [{"type": "text", "text": "What is 17+25?"}]}]
    answer = client.chat.completions.create(model=MODEL, messages=messages, max_tokens=20)
    assert answer.choices[0].message.content == "42"


def test_leaving_early_ends_generation(client: OpenAI, stack: Any) -> None:
    stream = client.chat.completions.create(
        model=MODEL, messages=SUM, max_tokens=1900, stream=True, extra_body={"ignore_eos": True}
    )
    next(iter(stream))
    stream.close()
    again = client.chat.completions.create(model=MODEL, messages=SUM, max_tokens=20)
    assert again.choices[0].message.content == "42"


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"temperature": -1}, "temperature"),
        ({"n": 17}, "n"),
        ({"max_tokens": 5000}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"logprobs": True, "top_logprobs": 1000}, None),
        ({"tool_choice": "auto", "tools": [{"type": "x"}]}, None),
    ],
)
def test_bad_requests(client: OpenAI, wrong: dict[str, Any], param: str | None) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**({"model": MODEL, "messages": SUM} | wrong))
    assert caught.value.status_code == 400
    assert caught.value.type == "invalid_request_error"
    assert caught.value.message
    if param is not None:
        assert caught.value.param == param


def test_prompt_too_long(client: OpenAI) -> None:
    """As a completion: the chat template of this model keeps but the end of a message."""
    with pytest.raises(openai.BadRequestError, match="2048"):
        client.completions.create(model=MODEL, prompt="x" * 5000, max_tokens=5)
