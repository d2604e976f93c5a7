"""What an engine's refusal means: its status and body become one of our errors.

vLLM's bodies differ from OpenAI's: `code` is an integer, `param` begins with `body.`, types are class
names, and FastAPI answers `{"detail": …}` where no handler ran. A 4xx is the caller's business: its
message is kept, less the values it quotes, which are the caller's data and would end up in logs. A 5xx
may speak of the engine's insides and is replaced.

Source: vllm/entrypoints/serve/exception_handling and anthropic/api_router.py, version 0.32.
"""

import re
from typing import Any

import orjson

from zoran_ray.errors import (
    BodyTooLarge,
    DeadlineExceeded,
    EngineError,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    RouteNotFound,
    UpstreamError,
    ZoranError,
)

MAX_MESSAGE_CHARS = 2000

_PRIVATE = re.compile(
    r"https?://(?:localhost|127\.|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|\[)\S*"
    r"|\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b"
    r"|\blocalhost:\d+\b"
    r"|\bbearer\s+\S+"
    r"|\b(?:sk|hf)[-_][\w-]{8,}",
    re.IGNORECASE,
)
# One entry of a validation error is the `repr` of pydantic's dict.
_VALIDATION = re.compile(r"\d+ validation errors?:\n")
_ENTRY = re.compile(r"""'loc': '([^']*)', 'msg': (?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")""")
_TYPE_TRIED = re.compile(r"\.[A-Z]\w*")
_QUOTED_VALUE = re.compile(r" \(parameter=.*\)\Z", re.DOTALL)
_UNKNOWN_MODEL = re.compile(r"The model .{0,300}? does not exist\.", re.DOTALL)


def normalise_upstream(status: int, body: bytes) -> ZoranError:
    """The error behind an engine's answer of 400 or more; `wire.errors.answer` writes it.

    Args:
        status: The engine's HTTP status.
        body: The engine's body, whole; may be anything.
    """
    if status >= 500 or status == 429:
        return _server_error(status)
    message, param = _read(body)
    if not message:
        return UpstreamError(f"The engine answered {status} without saying why. Try again.")
    if status == 404:
        return _not_found(message, param)
    if status == 413:
        return BodyTooLarge(message)
    if status in (400, 409, 422):
        return InvalidRequest(message, param=param)
    # 401 and 403 are about our own secret, 405 and 415 about our own request: not the caller's fault.
    return UpstreamError(f"The engine refused the gateway's request with {status}. Tell the operator.")


def _server_error(status: int) -> ZoranError:
    if status == 501:
        return InvalidRequest("This model does not support what the request asks for.")
    if status in (429, 503):
        return Overloaded("The engine cannot take more requests now. Try again shortly.")
    if status == 504:
        return DeadlineExceeded("The engine took too long. Try again, or ask for fewer tokens.")
    if status == 500:
        return EngineError("The engine failed on this request. The operator's log says more.")
    return UpstreamError(f"The engine answered {status}. Try again.")


def _not_found(message: str, param: str | None) -> ZoranError:
    if unknown := _UNKNOWN_MODEL.search(message):  # without vLLM's list of the names it does serve
        return ModelNotFound(f"{unknown[0]} GET /v1/models lists what there is.", param="model")
    if param == "model":
        return ModelNotFound(message, param=param)
    if message in ("Not Found", "Not found"):
        return RouteNotFound("This model does not serve this endpoint. Choose another model.")
    return InvalidRequest(message, param=param)


def _read(body: bytes) -> tuple[str, str | None]:
    """Message ("" if there is none) and parameter of any error body, fit to be shown."""
    try:
        document: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "", None
    error = document.get("error", document) if isinstance(document, dict) else None
    if isinstance(error, str):
        return _shown(error), None
    if not isinstance(error, dict):
        return "", None
    message, param = error.get("message", error.get("detail")), error.get("param")
    return (
        _shown(message) if isinstance(message, str) else "",
        _field(param) if isinstance(param, str) else None,
    )


def _field(loc: str) -> str:
    """A field's path as the caller wrote it: without where it was found and the types tried on it."""
    return _TYPE_TRIED.sub("", loc.removeprefix("body."))


def _shown(message: str) -> str:
    if _VALIDATION.match(message):
        found = dict.fromkeys(f"{_field(loc)}: {a or b}" for loc, a, b in _ENTRY.findall(message))
        message = "; ".join(list(found)[:3]) or "The request has fields of the wrong type."
    message = _QUOTED_VALUE.sub("", message)
    return _PRIVATE.sub("<hidden>", message[:MAX_MESSAGE_CHARS]).strip()
