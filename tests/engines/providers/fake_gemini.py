"""What Google's Gemini API answers, whole and as events.

Source: https://ai.google.dev/api/generate-content and https://ai.google.dev/api/embeddings.
"""

import json
from collections.abc import Iterable
from typing import Any

MODEL = "gemini-3-flash"
USAGE = {
    "promptTokenCount": 20,
    "cachedContentTokenCount": 6,
    "candidatesTokenCount": 7,
    "thoughtsTokenCount": 5,
    "totalTokenCount": 32,
}


def text(said: str, signature: str = "") -> dict[str, Any]:
    return {"text": said} | ({"thoughtSignature": signature} if signature else {})


def thought(said: str) -> dict[str, Any]:
    return {"text": said, "thought": True}


def call(name: str, arguments: dict[str, Any], call_id: str = "", signature: str = "") -> dict[str, Any]:
    named = {"name": name, "args": arguments} | ({"id": call_id} if call_id else {})
    return {"functionCall": named} | ({"thoughtSignature": signature} if signature else {})


def candidate(
    *parts: dict[str, Any], finish: str | None = "STOP", index: int = 0, **more: Any
) -> dict[str, Any]:
    content = {"content": {"role": "model", "parts": list(parts)}} if parts else {}
    return {**content, **({"finishReason": finish} if finish else {}), "index": index, **more}


def answer(*candidates: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "candidates": list(candidates),
        "usageMetadata": USAGE,
        "modelVersion": MODEL,
        "responseId": "resp-1",
        **more,
    }


def blocked(reason: str = "PROHIBITED_CONTENT") -> dict[str, Any]:
    usage = {"promptTokenCount": 20, "totalTokenCount": 20}
    feedback = {"blockReason": reason}
    return {
        "promptFeedback": feedback,
        "usageMetadata": usage,
        "modelVersion": MODEL,
        "responseId": "resp-1",
    }


def error(code: int, status: str, said: str = "No.", reason: str = "") -> dict[str, Any]:
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}
    return {"error": {"code": code, "message": said, "status": status, "details": [info] if reason else []}}


def encoded(told: Iterable[dict[str, Any]]) -> bytes:
    """Events as bytes; Google ends lines with CRLF."""
    return b"".join(f"data: {json.dumps(event, ensure_ascii=False)}\r\n\r\n".encode() for event in told)
