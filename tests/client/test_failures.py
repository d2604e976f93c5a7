from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from zoran_ray.client.failures import event_failure, retry_after_s, status_failure
from zoran_ray.errors import (
    InvalidRequest,
    ModelNotFound,
    NoReplica,
    Overloaded,
    RateLimited,
    RouteNotFound,
    Unauthenticated,
    Unavailable,
    UpstreamError,
)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "invalid_value", InvalidRequest),
        (401, "invalid_api_key", Unauthenticated),
        (404, "model_not_found", ModelNotFound),
        (404, "nonsense", RouteNotFound),
        (418, None, InvalidRequest),
        (429, "rate_limit_exceeded", RateLimited),
        (429, "insufficient_quota", RateLimited),
        (503, "overloaded", Overloaded),
        (503, "no_replica", NoReplica),
        (503, None, Unavailable),
        (500, "model_not_found", UpstreamError),
        (302, None, UpstreamError),
    ],
)
def test_status_and_code_decide_the_kind(status: int, code: str | None, kind: type[Exception]) -> None:
    body = (
        f'{{"error": {{"message": "No.", "code": {"null" if code is None else chr(34) + code + chr(34)}}}}}'
    )
    error = status_failure(status, {}, body.encode())
    assert type(error) is kind
    assert error.message.startswith("No.")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"x"', b'{"error": null}', b'{"detail": 3}'])
def test_bodies_of_other_servers_do_no_harm(body: bytes) -> None:
    assert "502" in status_failure(502, {}, body).message


def test_an_error_event_keeps_its_kind() -> None:
    assert type(event_failure({"message": "m", "code": "no_replica"})) is NoReplica
    assert type(event_failure({"message": "m", "code": 500})) is UpstreamError


def test_retry_after_in_all_spellings() -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert retry_after_s({"retry-after": "3"}) == 3.0
    assert retry_after_s({"retry-after-ms": "250", "retry-after": "3"}) == 0.25
    assert 90 < (retry_after_s({"retry-after": moment}) or 0) <= 100
    assert retry_after_s({"retry-after": "soon"}) is None
    assert retry_after_s({}) is None
