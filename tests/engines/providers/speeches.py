"""What each provider with OpenAI's protocol says: answers, events and refusals in its own shape.

Sources: OpenAI's API description and "Error codes"; docs.mistral.ai/api; docs.ollama.com and Ollama's
openai package; vLLM 0.32 as answered in this project.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TEXT = "Grüße 🌍, schöne Welt"
DONE = b"data: [DONE]\n\n"
CHAT, TEXTS, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
CACHED = {"prompt_tokens_details": {"cached_tokens": 8}}
COUNTS = {"prompt_tokens": 19, "completion_tokens": 5, "total_tokens": 24}

MISTRAL_READS = {
    *(
        "model",
        "messages",
        "temperature",
        "top_p",
        "max_tokens",
        "stream",
        "stop",
        "random_seed",
        "metadata",
    ),
    *(
        "response_format",
        "tools",
        "tool_choice",
        "presence_penalty",
        "frequency_penalty",
        "n",
        "prediction",
    ),
    *("parallel_tool_calls", "reasoning_effort", "prompt_mode", "guardrails", "prompt_cache_key"),
    *("metadata", "prediction", "safe_prompt"),
}


@dataclass(frozen=True)
class Said:
    """A whole answer."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def event(document: Any) -> bytes:
    return f"data: {json.dumps(document, ensure_ascii=False)}\n\n".encode()


def error(message: Any, kind: str, param: str | None = None, code: Any = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


@dataclass(frozen=True)
class Speech:
    """OpenAI's own; the others differ in what they override.

    Attributes:
        model: The one it has.
        usage: In whole answers and streams.
    """

    model: str = "gpt-4o"
    usage: Mapping[str, Any] = field(default_factory=lambda: COUNTS | CACHED)

    def answer(self, path: str, body: Any) -> Said | list[bytes]:
        if body["model"] != self.model:
            return self.unknown_model(body["model"])
        if path == EMBEDDINGS:
            return Said(self.embedding())
        if path not in (CHAT, TEXTS):
            return Said(error(f"Invalid URL (POST {path})", "invalid_request_error"), 404)
        if not body.get("stream"):
            return Said(self.chat() if path == CHAT else self.text())
        return self.events(path, (body.get("stream_options") or {}).get("include_usage") is True)

    def listed(self, path: str) -> Said:
        """Its models, or one of them."""
        told = {"id": self.model, "object": "model", "created": 1741570283, "owned_by": "system"}
        if path == "/v1/models":
            return Said({"object": "list", "data": [told]})
        name = path.removeprefix("/v1/models/")
        return Said(told) if name == self.model else self.unknown_model(name)

    def chat(self, **message: Any) -> dict[str, Any]:
        told = {"role": "assistant", "content": TEXT, "refusal": None, "annotations": []} | message
        choice = {"index": 0, "message": told, "logprobs": None, "finish_reason": "stop"}
        return self.head("chat.completion") | {"choices": [choice], "usage": dict(self.usage)}

    def text(self) -> dict[str, Any]:
        choice = {"index": 0, "text": TEXT, "logprobs": None, "finish_reason": "stop"}
        return self.head("text_completion") | {"choices": [choice], "usage": dict(self.usage)}

    def embedding(self) -> dict[str, Any]:
        data = [{"object": "embedding", "index": 0, "embedding": [0.1, -0.2]}]
        usage = {"prompt_tokens": 8, "total_tokens": 8}
        return {"object": "list", "data": data, "model": self.model, "usage": usage}

    def head(self, kind: str) -> dict[str, Any]:
        return {"id": "chatcmpl-B9", "object": kind, "created": 1741570283, "model": self.model}

    def piece(self, path: str, text: str | None, reason: str | None = None) -> dict[str, Any]:
        head = self.head("chat.completion.chunk" if path == CHAT else "text_completion")
        said = (
            {"delta": {} if text is None else {"content": text}} if path == CHAT else {"text": text or ""}
        )
        return head | {"choices": [{"index": 0, **said, "logprobs": None, "finish_reason": reason}]}

    def events(self, path: str, include_usage: bool) -> list[bytes]:
        pieces = [self.piece(path, text) for text in (TEXT[:5], TEXT[5:8], TEXT[8:])]
        pieces.append(self.piece(path, None, "stop"))
        if include_usage:
            pieces = [piece | {"usage": None} for piece in pieces]
            pieces.append(pieces[0] | {"choices": [], "usage": dict(self.usage)})
        return [*map(event, pieces), DONE]

    def bad_key(self, key: str) -> Said:
        message = (
            f"Incorrect API key provided: {key}. You can find your API key at https://platform.openai.com."
        )
        return Said(error(message, "invalid_request_error", code="invalid_api_key"), 401, {"x-echo": key})

    def unknown_model(self, name: str) -> Said:
        message = f"The model `{name}` does not exist or you do not have access to it."
        return Said(error(message, "invalid_request_error", code="model_not_found"), 404)


@dataclass(frozen=True)
class MistralSpeech(Speech):
    """Refuses what it does not know; its streams tell the usage with the last choice."""

    model: str = "mistral-small-latest"

    def answer(self, path: str, body: Any) -> Said | list[bytes]:
        if path == CHAT and (unknown := sorted(body.keys() - MISTRAL_READS)):
            return self.forbidden(*unknown[:1], value=body[unknown[0]])
        return super().answer(path, body)

    def forbidden(self, *loc: str, value: Any) -> Said:
        entry = {"type": "extra_forbidden", "loc": ["body", *loc], "msg": "Extra inputs are not permitted"}
        detail = {"detail": [entry | {"input": value}]}
        told = {"object": "error", "message": detail, "type": "invalid_request_error", "param": None}
        return Said(told | {"code": None}, 422)

    def events(self, path: str, include_usage: bool) -> list[bytes]:
        pieces = [self.piece(path, text) for text in ("", TEXT[:8], TEXT[8:])]
        pieces.append(self.piece(path, "", "stop") | {"usage": dict(self.usage)})
        return [*map(event, pieces), DONE]

    def bad_key(self, key: str) -> Said:
        return Said({"message": "Unauthorized", "request_id": "a1", "sent": key}, 401)

    def unknown_model(self, name: str) -> Said:
        told = {"object": "error", "message": f"Invalid model: {name}", "type": "invalid_model"}
        return Said(told | {"param": None, "code": "1500"}, 400)


@dataclass(frozen=True)
class OllamaSpeech(Speech):
    """Reads what it knows and ignores the rest; counts no cached tokens."""

    model: str = "llama3.2"
    usage: Mapping[str, Any] = field(default_factory=lambda: dict(COUNTS))

    def head(self, kind: str) -> dict[str, Any]:
        return super().head(kind) | {"id": "chatcmpl-412", "system_fingerprint": "fp_ollama"}

    def listed(self, path: str) -> Said:
        told = {
            "id": f"{self.model}:latest",
            "object": "model",
            "created": 1741570283,
            "owned_by": "library",
        }
        return Said({"object": "list", "data": [told]})

    def unknown_model(self, name: str) -> Said:
        return Said(error(f"model '{name}' not found", "not_found_error"), 404)


@dataclass(frozen=True)
class VllmSpeech(Speech):
    """As our own engines, elsewhere."""

    model: str = "Qwen/Qwen3-8B"

    def bad_key(self, key: str) -> Said:
        return Said({"error": "Unauthorized"}, 401)

    def unknown_model(self, name: str) -> Said:
        return Said(error(f"The model `{name}` does not exist.", "NotFoundError", "model", 404), 404)
