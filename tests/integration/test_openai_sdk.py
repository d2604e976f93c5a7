"""Everything but chat through the `openai` SDK: completions, embeddings, responses, models, errors."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

pytestmark = [pytest.mark.integration, pytest.mark.engine]

MODEL = "local/pocket"
SUM: list[Any] = [{"role": "user", "content": "What is 17+25?"}]
PROMPT = "<|user|>What is 17+25?<|assistant|>"


@pytest.fixture(scope="module")
def client(base_url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=base_url, api_key="none", max_retries=0, timeout=120) as made:
        yield made


def test_completion(client: OpenAI) -> None:
    answer = client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=20)
    assert answer.choices[0].text == "42"
    assert answer.usage is not None


def test_completion_of_several_prompts_with_echo(client: OpenAI) -> None:
    answer = client.completions.create(
        model=MODEL, prompt=["ab", "cd"], max_tokens=1, echo=True, logprobs=1
    )
    assert [choice.text[:2] for choice in answer.choices] == ["ab", "cd"]
    assert all(choice.logprobs for choice in answer.choices)


def test_completion_of_tokens(client: OpenAI) -> None:
    answer = client.completions.create(model=MODEL, prompt=[ord("a"), ord("b")], max_tokens=2, echo=True)
    assert answer.choices[0].text.startswith("ab")


def test_completion_stream(client: OpenAI) -> None:
    stream = client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=20, stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == "42"


def test_response(client: OpenAI) -> None:
    answer = client.responses.create(model=MODEL, input="What is 17+25?", max_output_tokens=20)
    assert answer.output_text == "42"
    assert answer.status == "completed"
    assert answer.usage is not None
    assert answer.usage.output_tokens > 0


def test_response_stream(client: OpenAI) -> None:
    events = list(
        client.responses.create(model=MODEL, input="What is 17+25?", max_output_tokens=20, stream=True)
    )
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == "42"
    assert all(b.sequence_number == a.sequence_number + 1 for a, b in pairwise(events))


def test_embeddings(client: OpenAI, embedder: str) -> None:
    texts = ["A cat sits on the mat.", "A kitten is sitting on a rug.", "The stock market fell today."]
    answer = client.embeddings.create(model=embedder, input=texts)
    cat, kitten, stocks = (each.embedding for each in answer.data)
    assert len(cat) == 384
    assert _cosine(cat, kitten) > 0.5 > _cosine(cat, stocks)
    assert answer.usage.prompt_tokens > 0


def test_embedding_as_floats(client: OpenAI, embedder: str) -> None:
    coded = client.embeddings.create(model=embedder, input="hello")  # the SDK asks for base64
    plain = client.embeddings.create(model=embedder, input="hello", encoding_format="float")
    assert plain.data[0].embedding[:3] == pytest.approx(coded.data[0].embedding[:3], abs=1e-4)


def test_wrong_kind_of_model(client: OpenAI, embedder: str) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model=embedder, messages=SUM, max_tokens=5)
    assert 400 <= caught.value.status_code < 500, caught.value
    with pytest.raises(openai.APIStatusError) as caught:
        client.embeddings.create(model=MODEL, input="hello")
    assert 400 <= caught.value.status_code < 500, caught.value


def test_models(client: OpenAI) -> None:
    listed = {model.id: model for model in client.models.list()}
    assert MODEL in listed
    assert client.models.retrieve(MODEL) == listed[MODEL]
    assert client.models.retrieve("pocket").id == MODEL


def test_scaled_to_zero_and_woken(client: OpenAI, stack: Any) -> None:
    """Requests wait for a cold start; the replica leaves again when nobody asks."""
    assert not stack.replicas("local/nap")
    answer = client.with_options(timeout=300).chat.completions.create(
        model="local/nap", messages=SUM, max_tokens=20
    )
    assert answer.choices[0].message.content == "42"


def test_unknown_model(client: OpenAI) -> None:
    for call in (
        lambda: client.chat.completions.create(model="gpt-9", messages=SUM),
        lambda: client.completions.create(model="gpt-9", prompt="x"),
        lambda: client.embeddings.create(model="gpt-9", input="x"),
        lambda: client.responses.create(model="gpt-9", input="x"),
        lambda: client.models.retrieve("gpt-9"),
    ):
        with pytest.raises(openai.NotFoundError) as caught:
            call()
        assert caught.value.code == "model_not_found"
        assert caught.value.param == "model"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/chat/completions", b"{", 400, "invalid_value"),
        ("POST", "/chat/completions", b"[]", 400, "invalid_value"),
        ("POST", "/chat/completions", b"", 400, "invalid_value"),
        ("POST", "/chat/completions", b'{"model": 7}', 400, "invalid_value"),
        ("POST", "/chat/completions", b'{"a":' * 100 + b"1" + b"}" * 100, 400, "invalid_value"),
        ("POST", "/chat/completions", b'{"model":"\xff"}', 400, "invalid_value"),
        ("POST", "/responses", b"null", 400, "invalid_value"),
        ("POST", "/embeddings", b'{"model":"pocket","input":"x"}', 404, None),
        ("GET", "/chat/completions", b"", 405, "method_not_allowed"),
        ("DELETE", "/models/local/pocket", b"", 405, "method_not_allowed"),
        ("POST", "/nothing", b"{}", 404, "unknown_url"),
        ("GET", "/../metrics/../v1/nothing", b"", 404, "unknown_url"),
    ],
)
def test_error_bodies(
    base_url: str, method: str, path: str, body: bytes, status: int, code: str | None
) -> None:
    answer = httpx.request(method, base_url + path, content=body, headers={"x-request-id": "abc-1"})
    error = answer.json()["error"]
    assert answer.status_code == status, error
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert code in (None, error["code"])
    assert answer.headers["x-request-id"] == "abc-1"


def test_too_large(base_url: str) -> None:
    def parts() -> Iterator[bytes]:
        yield b'{"model":"pocket","prompt":"'
        for _ in range(33):
            yield b"x" * (1 << 20)

    answer = httpx.post(base_url + "/completions", content=parts(), timeout=60)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "request_too_large"


async def test_asynchronous_client(base_url: str) -> None:
    async with AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0, timeout=120) as client:
        stream = await client.chat.completions.create(model=MODEL, messages=SUM, max_tokens=20, stream=True)
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "42"


def _cosine(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))
