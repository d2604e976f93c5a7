"""Every kind of body against OpenAI's own description. Fields beyond it are fine, missing ones are not."""

import json
from typing import Any

import httpx
import pytest

from tests.integration.openai_spec import deviations, openai_spec

pytestmark = [pytest.mark.integration, pytest.mark.engine]

MODEL = "local/pocket"
CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "What is 17+25?"}], "max_tokens": 20}
TEXT = {"model": MODEL, "prompt": "<|user|>What is 17+25?<|assistant|>", "max_tokens": 20}
RESPONSE = {"model": MODEL, "input": "What is 17+25?", "max_output_tokens": 20}
TOOL = {
    "type": "function",
    "function": {
        "name": "f",
        "strict": True,
        "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
    },
}

# Whole answers are mended; a stream passes as it is, because to mend it is work for every token.
AS_VLLM_STREAMS_THEM = {
    "$.choices[0].logprobs: 'refusal' is a required property",
    "$.response: 'error' is a required property",
}


@pytest.mark.parametrize(
    ("path", "body", "schema"),
    [
        ("/chat/completions", CHAT, "CreateChatCompletionResponse"),
        ("/chat/completions", CHAT | {"n": 2, "temperature": 1}, "CreateChatCompletionResponse"),
        ("/chat/completions", CHAT | {"logprobs": True, "top_logprobs": 2}, "CreateChatCompletionResponse"),
        (
            "/chat/completions",
            CHAT | {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}},
            "CreateChatCompletionResponse",
        ),
        ("/completions", TEXT, "CreateCompletionResponse"),
        (
            "/completions",
            TEXT | {"logprobs": 2, "echo": True, "n": 2, "temperature": 1},
            "CreateCompletionResponse",
        ),
        ("/responses", RESPONSE, "Response"),
    ],
)
def test_answers(base_url: str, path: str, body: dict[str, Any], schema: str) -> None:
    answer = httpx.post(base_url + path, json=body, timeout=120)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    assert deviations(answer.json(), schema) == []


@pytest.mark.parametrize(
    ("path", "body", "schema"),
    [
        ("/chat/completions", CHAT, "CreateChatCompletionStreamResponse"),
        (
            "/chat/completions",
            CHAT | {"stream_options": {"include_usage": True}, "logprobs": True},
            "CreateChatCompletionStreamResponse",
        ),
        ("/completions", TEXT, "CreateCompletionResponse"),
        ("/responses", RESPONSE, "ResponseStreamEvent"),
    ],
)
def test_streams(base_url: str, path: str, body: dict[str, Any], schema: str) -> None:
    answer = httpx.post(base_url + path, json=body | {"stream": True}, timeout=120)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    data = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    events = [json.loads(each) for each in data if each != "[DONE]"]
    assert len(events) > 1
    found = {each for event in events for each in deviations(event, schema)}
    assert found - AS_VLLM_STREAMS_THEM == set()


def test_embeddings(base_url: str, embedder: str) -> None:
    body = {"model": embedder, "input": ["a", "b"], "encoding_format": "float"}
    answer = httpx.post(f"{base_url}/embeddings", json=body, timeout=120)
    assert deviations(answer.json(), "CreateEmbeddingResponse") == []


def test_models(base_url: str) -> None:
    assert deviations(httpx.get(f"{base_url}/models").json(), "ListModelsResponse") == []
    assert deviations(httpx.get(f"{base_url}/models/{MODEL}").json(), "Model") == []


@pytest.mark.parametrize("path", ["/chat/completions", "/completions", "/embeddings", "/responses"])
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"model": "gpt-9", "messages": [{"role": "user", "content": "x"}], "prompt": "x", "input": "x"},
        {"model": MODEL, "messages": 7, "prompt": {}, "input": {}},
        {"model": MODEL, "messages": [{"role": "user", "content": "x"}], "prompt": "x", "temperature": 99},
    ],
)
def test_refusals(base_url: str, path: str, body: dict[str, Any]) -> None:
    answer = httpx.post(base_url + path, json=body, timeout=120)
    assert answer.status_code in (400, 404), answer.text
    assert deviations(answer.json(), "ErrorResponse") == []


def test_unserved_paths_are_refused_in_its_own_words(base_url: str) -> None:
    """What the description has and this server does not yet is a 404 or 405 with the usual body."""
    for path in openai_spec()["paths"]:
        answer = httpx.delete(base_url + path.replace("{", "").replace("}", ""))
        assert answer.status_code in (404, 405)
        assert deviations(answer.json(), "ErrorResponse") == []
