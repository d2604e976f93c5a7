"""What the official SDKs make of our errors. Their own HTTP stack, with the network taken out."""

from collections.abc import Callable
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from zoran_ray import errors
from zoran_ray.errors import ZoranError
from zoran_ray.wire import Answer, Dialect, answer, event

CHUNK = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m",'
    b'"choices":[{"index":0,"delta":{"content":"4"},"finish_reason":null}]}\n\n'
)
DELTA = (
    b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"4",'
    b'"item_id":"i","output_index":0,"content_index":0,"logprobs":[],"sequence_number":0}\n\n'
)
BLOCK = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"4"}}\n\n'
)
CUT = errors.UpstreamError("The engine broke off. Try again.")


def transport(told: Answer) -> Callable[[httpx2.Request], httpx2.Response]:
    return lambda _: httpx2.Response(told.status, headers=told.headers, content=told.body)


def stream(*parts: bytes) -> Answer:
    return Answer(200, {"content-type": "text/event-stream", "x-request-id": "r"}, b"".join(parts))


@pytest.fixture
def openai_client() -> Callable[[Answer], openai.OpenAI]:
    def client(told: Answer) -> openai.OpenAI:
        http = httpx2.Client(transport=httpx2.MockTransport(transport(told)))
        return openai.OpenAI(api_key="k", base_url="http://zoran.test/v1", http_client=http, max_retries=0)

    return client


@pytest.fixture
def anthropic_client() -> Callable[[Answer], anthropic.Anthropic]:
    def client(told: Answer) -> anthropic.Anthropic:
        http = httpx2.Client(transport=httpx2.MockTransport(transport(told)))
        return anthropic.Anthropic(
            api_key="k", base_url="http://zoran.test", http_client=http, max_retries=0
        )

    return client


def ask(client: openai.OpenAI, **more: Any) -> Any:
    return client.chat.completions.create(model="m", messages=[{"role": "user", "content": "?"}], **more)


def tell(client: anthropic.Anthropic, **more: Any) -> Any:
    messages: Any = [{"role": "user", "content": "?"}]
    return client.messages.create(model="m", max_tokens=4, messages=messages, **more)


def test_openai_raises_in_the_middle_of_a_chat_stream(openai_client: Any) -> None:
    events = ask(openai_client(stream(CHUNK, event(CUT, "openai"))), stream=True)
    assert next(events).choices[0].delta.content == "4"
    with pytest.raises(openai.APIError, match="broke off") as raised:
        next(events)
    assert (raised.value.code, raised.value.type) == ("upstream_error", "server_error")


def test_openai_raises_in_the_middle_of_a_responses_stream(openai_client: Any) -> None:
    told = stream(DELTA, event(CUT, "responses", sequence_number=1))
    events = openai_client(told).responses.create(model="m", input="?", stream=True)
    assert next(events).delta == "4"
    with pytest.raises(openai.APIError, match="broke off") as raised:
        next(events)
    assert raised.value.code == "upstream_error"


def test_anthropic_raises_in_the_middle_of_a_stream(anthropic_client: Any) -> None:
    events = tell(anthropic_client(stream(BLOCK, event(CUT, "anthropic"))), stream=True)
    assert next(iter(events)).delta.text == "4"
    with pytest.raises(anthropic.APIStatusError, match="broke off") as raised:
        next(iter(events))
    assert raised.value.type == "api_error"


@pytest.mark.parametrize(
    ("error", "openai_type", "anthropic_type"),
    [
        (errors.InvalidRequest("…", param="n"), openai.BadRequestError, anthropic.BadRequestError),
        (errors.Unauthenticated("…"), openai.AuthenticationError, anthropic.AuthenticationError),
        (errors.PermissionDenied("…"), openai.PermissionDeniedError, anthropic.PermissionDeniedError),
        (errors.ModelNotFound("…"), openai.NotFoundError, anthropic.NotFoundError),
        (errors.BodyTooLarge("…"), openai.APIStatusError, anthropic.ContentTooLargeError),
        (errors.RateLimited("…"), openai.RateLimitError, anthropic.RateLimitError),
        (errors.NoReplica("…"), openai.InternalServerError, anthropic.ServiceUnavailableError),
        (errors.DeadlineExceeded("…"), openai.InternalServerError, anthropic.GatewayTimeoutError),
    ],
)
def test_sdks_raise_the_exception_that_fits(
    error: ZoranError,
    openai_type: type[Exception],
    anthropic_type: type[Exception],
    openai_client: Any,
    anthropic_client: Any,
) -> None:
    def told(dialect: Dialect) -> Answer:
        return answer(error, dialect=dialect, request_id="req-7")

    with pytest.raises(openai_type) as of_openai:
        ask(openai_client(told("openai")))
    assert isinstance(of_openai.value, openai.APIStatusError)
    assert (of_openai.value.code, of_openai.value.param) == (error.code, error.param)
    assert of_openai.value.request_id == "req-7"
    with pytest.raises(anthropic_type) as of_anthropic:
        tell(anthropic_client(told("anthropic")))
    assert isinstance(of_anthropic.value, anthropic.APIStatusError)
    assert of_anthropic.value.request_id == "req-7"
    assert of_anthropic.value.api_message == "…"
