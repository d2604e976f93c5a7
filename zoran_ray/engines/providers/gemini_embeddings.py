"""OpenAI's embeddings ↔ Gemini's batchEmbedContents. Pure; knows no HTTP.

Source: https://ai.google.dev/api/embeddings and https://ai.google.dev/gemini-api/docs/embeddings, which
says that vectors of fewer dimensions than the model's own are not of length 1; OpenAI's always are, so
these are made so here.
"""

import math
import struct
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from zoran_ray.engines.providers.chat_answer import count
from zoran_ray.engines.providers.parameters import Parameters, wrong
from zoran_ray.errors import UpstreamError

MOST_INPUTS = 100
"""Texts that Gemini takes in one request."""
_BYTES_PER_TOKEN = 4


def gemini_embeddings_body(document: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The body to send.

    Args:
        document: OpenAI's embeddings body.
        model: Gemini's name of the model, without `models/`.

    Raises:
        InvalidRequest: The body is not OpenAI's, or asks for what Gemini does not have.
    """
    asked = Parameters(document, "Gemini")
    texts = embedded_texts(asked)
    dimensions = asked.integer("dimensions", 1)
    if asked.take("encoding_format") not in (None, "float", "base64"):
        raise wrong("encoding_format", "float or base64")
    asked.refuse_rest()
    shape = {} if dimensions is None else {"outputDimensionality": dimensions}
    named = {"model": f"models/{model}", **shape}
    return {"requests": [{**named, "content": {"parts": [{"text": text}]}} for text in texts]}


def embedded_texts(asked: Parameters) -> list[str]:
    """The texts of `input`."""
    given = asked.take("input")
    texts = [given] if type(given) is str else given
    if type(texts) is not list or not texts:
        raise wrong("input", "a string or an array of strings")
    if not all(type(text) is str for text in texts):
        raise asked.refusal("input", "embeds texts, not tokens")
    if not all(texts):
        raise wrong("input", "free of empty strings")
    if len(texts) > MOST_INPUTS:
        raise asked.refusal("input", f"embeds at most {MOST_INPUTS} texts in one request")
    return texts


def gemini_embeddings(answer: Any, document: Mapping[str, Any], model: str) -> dict[str, Any]:
    """OpenAI's list of embeddings.

    Where the answer states no tokens, as older versions of the API do not, they are estimated at four bytes
    each: a request that counts as nothing would never exhaust a budget.

    Args:
        answer: Gemini's `BatchEmbedContentsResponse`, of any JSON types.
        document: OpenAI's body that was asked.
        model: Gemini's name of the model.

    Raises:
        UpstreamError: It is no such answer, or not as many vectors as texts.
    """
    texts = embedded_texts(Parameters(document, "Gemini"))
    found = answer.get("embeddings") if isinstance(answer, Mapping) else None
    if not isinstance(found, list) or len(found) != len(texts):
        raise _no_embeddings()
    vectors = [_vector(each) for each in found]
    if document.get("dimensions") is not None:
        vectors = [_unit(vector) for vector in vectors]
    packed = document.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": i, "embedding": _base64(vector) if packed else vector}
        for i, vector in enumerate(vectors)
    ]
    stated = count(answer.get("usageMetadata"), "promptTokenCount")
    tokens = stated or sum(1 + len(text.encode()) // _BYTES_PER_TOKEN for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": model, "usage": usage}


def _vector(given: Any) -> list[float]:
    values = given.get("values") if isinstance(given, Mapping) else None
    if not isinstance(values, list) or not values or any(type(v) not in (int, float) for v in values):
        raise _no_embeddings()
    return [float(value) for value in values]


def _unit(vector: list[float]) -> list[float]:
    length = math.hypot(*vector)
    return [value / length for value in vector] if length else vector


def _base64(vector: list[float]) -> str:
    """float32, little-endian, as OpenAI's clients read it."""
    try:
        return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    except OverflowError:
        raise _no_embeddings() from None


def _no_embeddings() -> UpstreamError:
    return UpstreamError("Gemini answered something that is not the embeddings asked for. Try again.")
