"""Messages through the `anthropic` SDK."""

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic

from tests.integration.stack import Stack

pytestmark = [pytest.mark.integration, pytest.mark.engine]

MODEL = "local/pocket"
SUM: list[Any] = [{"role": "user", "content": "What is 17+25?"}]


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[Anthropic]:
    with Anthropic(base_url=stack.base_url, api_key="none", max_retries=0, timeout=120) as made:
        yield made


def test_message(client: Anthropic) -> None:
    answer = client.messages.create(model=MODEL, messages=SUM, max_tokens=20)
    assert answer.content[0].type == "text"
    assert answer.content[0].text == "42"
    assert answer.role == "assistant"
    assert answer.stop_reason == "end_turn"
    assert answer.usage.input_tokens > 0
    assert answer.usage.output_tokens > 0
    assert answer._request_id


def test_stream(client: Anthropic) -> None:
    with client.messages.stream(model=MODEL, messages=SUM, max_tokens=20) as stream:
        text = "".join(stream.text_stream)
        whole = stream.get_final_message()
    assert text == "42"
    assert whole.stop_reason == "end_turn"
    assert whole.usage.output_tokens > 0


def test_max_tokens(client: Anthropic) -> None:
    answer = client.messages.create(
        model=MODEL, messages=[{"role": "user", "content": "Hello"}], max_tokens=3
    )
    assert answer.stop_reason == "max_tokens"
    assert answer.usage.output_tokens == 3


def test_count_tokens(client: Anthropic) -> None:
    short = client.messages.count_tokens(model=MODEL, messages=SUM)
    longer = client.messages.count_tokens(
        model=MODEL, messages=[{"role": "user", "content": "What is 17+25?!"}]
    )
    assert longer.input_tokens == short.input_tokens + 1


def test_system_and_parts(client: Anthropic) -> None:
    answer = client.messages.create(
        model=MODEL,
        system="Be brief.",
        messages=[{"role": "user", "content": [{"type": "text", "text": "What is 17+25?"}]}],
        max_tokens=20,
    )
    assert answer.content[0].type == "text"
    assert answer.content[0].text == "42"


def test_unknown_model(client: Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as caught:
        client.messages.create(model="claude-9", messages=SUM, max_tokens=5)
    body: Any = caught.value.body
    assert body["type"] == "error"
    assert body["error"]["type"] == "not_found_error"
    assert body["request_id"] == caught.value.request_id


@pytest.mark.parametrize(
    "wrong",
    [{"messages": []}, {"max_tokens": 0}, {"extra_body": {"temperature": "hot"}}, {"max_tokens": 5000}],
)
def test_bad_requests(client: Anthropic, wrong: dict[str, Any]) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        client.messages.create(**({"model": MODEL, "messages": SUM, "max_tokens": 5} | wrong))
    body: Any = caught.value.body
    assert body["error"]["type"] == "invalid_request_error"
    assert body["error"]["message"]
