"""What went wrong with a request, as our own errors: failed connections, HTTP statuses, error bodies."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from zoran_ray.error_codes import error_kind
from zoran_ray.errors import (
    BodyTooLarge,
    DeadlineExceeded,
    InvalidRequest,
    MethodNotAllowed,
    ModelNotFound,
    PermissionDenied,
    RateLimited,
    RouteNotFound,
    Unauthenticated,
    Unavailable,
    Unreachable,
    UpstreamError,
    ZoranError,
)

_BY_STATUS: Mapping[int, type[ZoranError]] = {
    400: InvalidRequest,
    401: Unauthenticated,
    403: PermissionDenied,
    404: RouteNotFound,
    405: MethodNotAllowed,
    408: DeadlineExceeded,
    413: BodyTooLarge,
    422: InvalidRequest,
    429: RateLimited,
    503: Unavailable,
    504: DeadlineExceeded,
}
_ADVICE: Mapping[type[ZoranError], str] = {
    Unauthenticated: "Give a valid key with --api-key or ZORAN_API_KEY.",
    ModelNotFound: "See which there are with `zoran models`, or GET /v1/models.",
    RouteNotFound: "Is the base URL right? It usually ends in /v1.",
}
MAX_MESSAGE = 500


def connection_failure(error: httpx.RequestError, url: httpx.URL, timeout_s: float) -> ZoranError:
    """What a failed connection means."""
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return Unreachable(
            f"No server answers at {url}. Start one with `zoran serve`, or name another with --base-url."
        )
    if isinstance(error, httpx.TimeoutException):
        return DeadlineExceeded(f"The server at {url} was silent for {timeout_s:g} s.")
    return UpstreamError(f"The server at {url} broke the connection off. Look at its log.")


def status_failure(status: int, headers: Mapping[str, str], content: bytes) -> ZoranError:
    """What an answer with an error status means."""
    error = _error_object(content)
    kind = _BY_STATUS.get(status, UpstreamError if status >= 500 or status < 400 else InvalidRequest)
    named = error_kind(str(error.get("code")))
    if named is not None and (issubclass(named, kind) or status == 404):
        kind = named
    message = str(error.get("message") or f"HTTP status {status}, without a reason.")[:MAX_MESSAGE]
    advice = _ADVICE.get(kind)
    param = error.get("param")
    return kind(
        f"{message} {advice}" if advice else message,
        param=str(param) if param is not None else None,
        retry_after_s=retry_after_s(headers),
    )


def event_failure(error: Mapping[str, Any]) -> ZoranError:
    """What an error in the middle of a stream means."""
    kind = error_kind(str(error.get("code"))) or UpstreamError
    return kind(str(error.get("message") or "The answer broke off without a reason.")[:MAX_MESSAGE])


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """When the server wants to be asked again, in seconds; None if it does not say.

    Source: RFC 9110, section 10.2.3, and `retry-after-ms` of the OpenAI protocol.
    """
    try:
        if "retry-after-ms" in headers:
            return max(float(headers["retry-after-ms"]) / 1000, 0.0)
        value = headers.get("retry-after", "").strip()
        if value.replace(".", "", 1).isdigit():
            return float(value)
        return (
            max((parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds(), 0.0) if value else None
        )
    except (ValueError, TypeError):
        return None


def _error_object(content: bytes) -> Mapping[str, Any]:
    """The error of an OpenAI error body, or of the flatter bodies that some servers send."""
    try:
        body = json.loads(content)
    except ValueError:
        return {}
    error = body.get("error", body) if isinstance(body, dict) else {}
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, dict) else {}
