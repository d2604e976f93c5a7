"""What an error looks like over HTTP: status, headers and body, whole or as the end of a stream.

The one module that knows it. Knows the error tree, but not who raised what, nor the engine's own
bodies (`wire.upstream` turns those into the tree first).

Source: OpenAI's error object (four fields, all present; `code` a string or null) and
`ResponseErrorEvent` from its OpenAPI description; Anthropic's error page for types and statuses.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from zoran_ray.errors import (
    BodyTooLarge,
    BudgetExceeded,
    DeadlineExceeded,
    DeployRefused,
    EmbedderMismatch,
    EngineError,
    EngineMissing,
    ForgeRefused,
    InvalidRequest,
    MethodNotAllowed,
    ModelLoadError,
    ModelNotFound,
    PermissionDenied,
    ProviderBusy,
    ProviderRefused,
    RateLimited,
    RecordNotFound,
    RequestError,
    RouteNotFound,
    Unauthenticated,
    Unavailable,
    UnknownRequest,
    UpstreamError,
    ZoranError,
)
from zoran_ray.wire.endpoint import Dialect
from zoran_ray.wire.usage import Usage

DEFAULT_RETRY_S = 1.0
"""Told to clients of a 429 or 503 whose cause does not know when it will be over."""

# status, OpenAI type, Anthropic type. A child without a line of its own has its parent's.
_FACES: dict[type[ZoranError], tuple[int, str, str]] = {
    RequestError: (400, "invalid_request_error", "invalid_request_error"),
    InvalidRequest: (400, "invalid_request_error", "invalid_request_error"),
    Unauthenticated: (401, "authentication_error", "authentication_error"),
    BudgetExceeded: (402, "insufficient_quota", "billing_error"),
    PermissionDenied: (403, "permission_error", "permission_error"),
    RouteNotFound: (404, "invalid_request_error", "not_found_error"),
    ModelNotFound: (404, "invalid_request_error", "not_found_error"),
    RecordNotFound: (404, "invalid_request_error", "not_found_error"),
    UnknownRequest: (404, "invalid_request_error", "not_found_error"),
    ForgeRefused: (502, "server_error", "api_error"),
    DeployRefused: (502, "server_error", "api_error"),
    MethodNotAllowed: (405, "invalid_request_error", "invalid_request_error"),
    BodyTooLarge: (413, "invalid_request_error", "request_too_large"),
    RateLimited: (429, "rate_limit_error", "rate_limit_error"),
    EngineError: (500, "server_error", "api_error"),
    UpstreamError: (502, "server_error", "api_error"),
    ProviderRefused: (502, "server_error", "api_error"),
    ProviderBusy: (503, "server_error", "overloaded_error"),
    Unavailable: (503, "server_error", "overloaded_error"),
    EmbedderMismatch: (503, "server_error", "api_error"),
    EngineMissing: (503, "server_error", "api_error"),
    ModelLoadError: (503, "server_error", "api_error"),
    DeadlineExceeded: (504, "server_error", "timeout_error"),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response ready to be written. Header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class _Told:
    """What a caller may know of an error."""

    status: int
    openai_type: str
    anthropic_type: str
    message: str
    param: str | None
    code: str

    def openai(self) -> dict[str, Any]:
        return {"message": self.message, "type": self.openai_type, "param": self.param, "code": self.code}

    def anthropic(self) -> dict[str, Any]:
        return {"type": "error", "error": {"type": self.anthropic_type, "message": self.message}}


def _told(error: BaseException) -> _Told:
    if isinstance(error, ZoranError):
        for kind in type(error).__mro__:
            if kind in _FACES:
                # A path or header quoted in it may not be Unicode.
                message = error.message.encode(errors="replace").decode()
                return _Told(*_FACES[kind], message, error.param, error.code)
    # Whatever else went wrong is our own fault, and its text was not written for the caller's eyes.
    message = (
        "The server had an internal error. Try again; if it persists, give the operator the request id."
    )
    return _Told(500, "server_error", "api_error", message, None, ZoranError.code)


def answer(
    error: BaseException, *, dialect: Dialect = "openai", request_id: str, allow: Iterable[str] = ()
) -> Answer:
    """The response that tells a caller about `error`.

    Args:
        error: Any of the tree; everything else becomes a 500 that says nothing of its cause.
        dialect: The dialect of the endpoint the caller used.
        request_id: Sent back as `x-request-id` (and `request-id`, where Anthropic's client looks).
        allow: Methods for the `allow` header of a 405.
    """
    told = _told(error)
    headers = {"content-type": "application/json", "x-request-id": request_id}
    document: dict[str, Any]
    if dialect == "anthropic":
        document = told.anthropic() | {"request_id": request_id}
        headers["request-id"] = request_id
    else:
        document = {"error": told.openai()}
    if told.status == 401:
        headers["www-authenticate"] = "Bearer"
    if told.status == 405:
        headers["allow"] = ", ".join(allow)
    return Answer(told.status, headers | _retry_headers(error, told.status), orjson.dumps(document))


def _retry_headers(error: BaseException, status: int) -> dict[str, str]:
    if not isinstance(error, ZoranError) or (status < 500 and status != 429):
        return {}
    if not error.retryable:
        return {"x-should-retry": "false"}  # SDKs otherwise repeat every 5xx
    wait_s = error.retry_after_s
    if wait_s is None:
        if isinstance(error, RateLimited):
            return {"x-should-retry": "false"}  # larger than the limit itself: it never fits
        if status not in (429, 503):
            return {}
        wait_s = DEFAULT_RETRY_S
    wait_ms = max(1, math.ceil(wait_s * 1000))
    # RFC 9110 knows whole seconds only; SDKs prefer the exact figure.
    return {"retry-after": str(math.ceil(wait_ms / 1000)), "retry-after-ms": str(wait_ms)}


def event(
    error: BaseException, dialect: Dialect, *, sequence_number: int = 0, usage: Usage | None = None
) -> bytes:
    """The last bytes of a stream that failed after it began. Must follow a complete event.

    Args:
        sequence_number: Place of this event in a `/v1/responses` stream.
        usage: What the part that came did use; told beside `error` in a chat or completions stream.
    """
    told = _told(error)
    if dialect == "openai":
        # Clients raise on the first line; those that only look for the end find it in the second.
        # `error` stays in front: by it `wire.sse` knows such an event.
        last = {"error": told.openai()} | ({"usage": usage.told()} if usage else {})
        return b"data: " + orjson.dumps(last) + b"\n\ndata: [DONE]\n\n"
    if dialect == "anthropic":
        document = told.anthropic()
    else:
        # The flat fields are the specified event. OpenAI's SDK hands that to its caller as one event
        # among others and raises only on a nested `error`, so a cut stream would look complete.
        flat = {"type": "error", "code": told.code, "message": told.message, "param": told.param}
        document = flat | {"sequence_number": sequence_number, "error": told.openai()}
    return b"event: error\ndata: " + orjson.dumps(document) + b"\n\n"
