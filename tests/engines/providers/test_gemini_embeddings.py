import math
import struct
from base64 import b64decode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import CreateEmbeddingResponse

from tests.engines.providers.openai_shapes import agrees_with_openai
from zoran_ray.engines.providers.gemini_embeddings import (
    MOST_INPUTS,
    gemini_embeddings,
    gemini_embeddings_body,
)
from zoran_ray.errors import InvalidRequest, UpstreamError

MODEL = "gemini-embedding-001"


def body(**document: Any) -> dict[str, Any]:
    return gemini_embeddings_body({"model": "gemini/embedding", **document}, MODEL)


def told(answer: Any, given_input: Any = "Hi", **document: Any) -> dict[str, Any]:
    return gemini_embeddings(answer, {"input": given_input, **document}, MODEL)


def vectors(*values: list[float], **more: Any) -> dict[str, Any]:
    return {"embeddings": [{"values": each} for each in values], **more}


@pytest.mark.parametrize(
    ("document", "texts"),
    [
        ({"input": "Hi"}, ["Hi"]),
        ({"input": ["Hi", "Ho"], "encoding_format": "float", "user": "u"}, ["Hi", "Ho"]),
    ],
)
def test_texts(document: dict[str, Any], texts: list[str]) -> None:
    named = {"model": f"models/{MODEL}"}
    assert body(**document) == {
        "requests": [{**named, "content": {"parts": [{"text": each}]}} for each in texts]
    }


def test_dimensions() -> None:
    assert body(input="Hi", dimensions=256)["requests"][0]["outputDimensionality"] == 256


@pytest.mark.parametrize(
    ("document", "param"),
    [
        ({}, "input"),
        ({"input": []}, "input"),
        ({"input": 5}, "input"),
        ({"input": [1, 2]}, "input"),
        ({"input": [[1, 2]]}, "input"),
        ({"input": ["Hi", ""]}, "input"),
        ({"input": ["Hi"] * (MOST_INPUTS + 1)}, "input"),
        ({"input": "Hi", "dimensions": 0}, "dimensions"),
        ({"input": "Hi", "encoding_format": "int8"}, "encoding_format"),
        ({"input": "Hi", "input_type": "query"}, "input_type"),
    ],
)
def test_what_gemini_cannot_embed_is_refused_by_name(document: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        body(**document)
    assert raised.value.param == param


def test_embeddings() -> None:
    answer = told(vectors([0.5, -1], [3, 4], usageMetadata={"promptTokenCount": 7}), ["Hi", "Ho"])
    assert answer == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.5, -1.0]},
            {"object": "embedding", "index": 1, "embedding": [3.0, 4.0]},
        ],
        "model": MODEL,
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }
    CreateEmbeddingResponse.model_validate(answer)
    agrees_with_openai(answer, "CreateEmbeddingResponse")


def test_tokens_that_are_not_stated_are_estimated() -> None:
    assert told(vectors([1], [1]), ["12345678", "é"])["usage"]["prompt_tokens"] == 3 + 1


floats = st.floats(-1e6, 1e6, width=32)


@given(st.lists(floats, min_size=1, max_size=8))
def test_base64_is_the_same_numbers(values: list[float]) -> None:
    packed = told(vectors(values), encoding_format="base64")["data"][0]["embedding"]
    assert list(struct.unpack(f"<{len(values)}f", b64decode(packed))) == values


@given(st.lists(floats, min_size=1, max_size=8))
def test_shortened_vectors_have_length_1(values: list[float]) -> None:
    length = math.hypot(*told(vectors(values), dimensions=len(values))["data"][0]["embedding"])
    assert length == pytest.approx(1.0 if any(values) else 0.0)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {},
        {"embeddings": {}},
        vectors(),
        vectors([1], [2]),
        vectors([]),
        {"embeddings": [5]},
        {"embeddings": [{"values": ["1"]}]},
        {"embeddings": [{"values": [None]}]},
        {"embeddings": [{}]},
    ],
)
def test_what_is_no_embedding_is_an_upstream_error(answer: Any) -> None:
    with pytest.raises(UpstreamError):
        told(answer)


def test_numbers_no_float32_holds_are_an_upstream_error() -> None:
    with pytest.raises(UpstreamError):
        told(vectors([1e300]), encoding_format="base64")
