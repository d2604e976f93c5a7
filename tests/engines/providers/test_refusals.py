"""The bodies are those of the providers' own documentation."""

import json
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.api_key import ApiKey
from zoran_ray.engines.providers.refusals import MAX_PARAM_CHARS, MAX_RETRY_AFTER_S, Refusals, retry_after_s
from zoran_ray.errors import InvalidRequest, ProviderBusy, ProviderRefused, UpstreamError, ZoranError

SECRET = "sk-proj-canary-5d0f1c9a7e42"
NOW = 1_760_000_000.0
refusals = Refusals("acme", ApiKey(SECRET, "K"), lambda: NOW)


def of(status: int, body: Any, **headers: str) -> ZoranError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return refusals.of(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.07s"}
"""As Gemini sends it beside `QuotaFailure` and `Help`."""


def openai(message: str, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


def gemini(code: int, status: str, **more: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": "Request contains something.", "status": status, **more}}


def anthropic(kind: str, message: str = "Said by them.") -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_011"}


BILLING = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing."
QUOTED = "messages.0: 'Your credit balance is too low' is not allowed"


INVALID_KEY = gemini(
    400, "INVALID_ARGUMENT", details=[{"reason": "API_KEY_INVALID", "domain": "googleapis.com"}]
)
UNKNOWN_MODEL = openai("The model `gpt-9` does not exist.", "model_not_found")
INVALID_MODEL = {"object": "error", "message": "Invalid model: x", "type": "invalid_model", "code": "1500"}
NO_QUOTA = openai("You exceeded your current quota.", "insufficient_quota")


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, openai("Incorrect API key provided: sk-proj-***.", "invalid_api_key"), ProviderRefused),
        (401, {"message": "Unauthorized"}, ProviderRefused),
        (402, {"error": {"code": 402, "message": "Insufficient credits"}}, ProviderRefused),
        (403, anthropic("permission_error"), ProviderRefused),
        (403, b"<html>Attention Required!</html>", ProviderRefused),
        (404, UNKNOWN_MODEL, ProviderRefused),
        (404, openai("No such model.", None, "model"), ProviderRefused),
        (404, anthropic("not_found_error"), ProviderRefused),
        (404, b"404 page not found", ProviderRefused),
        (404, openai("No such response.", None, "previous_response_id"), InvalidRequest),
        (400, INVALID_MODEL, ProviderRefused),
        (400, INVALID_KEY, ProviderRefused),
        (400, openai("max_tokens is too large", None, "max_tokens"), InvalidRequest),
        (400, gemini(400, "INVALID_ARGUMENT"), InvalidRequest),
        (400, anthropic("invalid_request_error"), InvalidRequest),
        (400, anthropic("invalid_request_error", BILLING), ProviderRefused),
        (400, anthropic("invalid_request_error", QUOTED), InvalidRequest),
        (402, anthropic("billing_error"), ProviderRefused),
        (400, b"<html>Bad Request</html>", UpstreamError),
        (400, b"", UpstreamError),
        (413, anthropic("request_too_large"), InvalidRequest),
        (422, {"detail": [{"loc": ["body", "n"], "msg": "too many", "input": "PRIVATE"}]}, InvalidRequest),
        (405, openai("Not allowed."), ProviderRefused),
        (301, b"", ProviderRefused),
        (408, b"", ProviderBusy),
        (409, openai("Conflict."), ProviderBusy),
        (429, openai("Rate limit reached.", "rate_limit_exceeded"), ProviderBusy),
        (429, gemini(429, "RESOURCE_EXHAUSTED"), ProviderBusy),
        (429, b"<html>slow down</html>", ProviderBusy),
        (429, NO_QUOTA, ProviderRefused),
        (503, gemini(503, "UNAVAILABLE"), ProviderBusy),
        (529, anthropic("overloaded_error"), ProviderBusy),
        (500, anthropic("api_error"), UpstreamError),
        (502, b"<html>Bad gateway</html>", UpstreamError),
        (504, b"", UpstreamError),
    ],
)
def test_what_a_status_and_its_body_mean(status: int, body: Any, kind: type[ZoranError]) -> None:
    assert type(of(status, body)) is kind


def test_the_caller_reads_the_providers_message_and_parameter() -> None:
    error = of(400, openai("Unsupported value: 'temperature' does not support 0.2.", None, "temperature"))
    assert error.message == "acme: Unsupported value: 'temperature' does not support 0.2."
    assert error.param == "temperature"


def test_mistrals_validation_error_is_read_without_the_value() -> None:
    entry = {
        "type": "extra_forbidden",
        "loc": ["body", "messages", 0, "name"],
        "msg": "Extra inputs are not permitted",
    }
    detail = {"detail": [entry | {"input": "PRIVATE"}]}
    error = of(422, {"object": "error", "message": detail, "type": "invalid_request_error", "param": None})
    assert error.message == "acme: messages.0.name: Extra inputs are not permitted"
    assert error.param == "messages.0.name"


def test_geminis_error_in_an_array_is_read() -> None:
    assert of(400, [gemini(400, "INVALID_ARGUMENT")]).message == "acme: Request contains something."


@pytest.mark.parametrize("status", [401, 403, 404, 408, 429, 500, 503, 529])
def test_what_is_not_for_the_caller_is_not_repeated(status: int) -> None:
    error = of(status, openai("Said by them about org-1234 with PRIVATE things."))
    assert "PRIVATE" not in error.message
    assert "acme" in error.message


@pytest.mark.parametrize("status", [400, 401, 413, 422, 429, 500])
@pytest.mark.parametrize("padding", [0, 1980, 1995])
def test_a_quoted_key_is_hidden_wherever_it_stands(status: int, padding: int) -> None:
    message = f"{'x' * padding} key {SECRET} or '{SECRET[:14]}' is wrong"
    error = of(status, openai(message, None, f"headers.{SECRET}"))
    assert SECRET[:8] not in f"{error.message} {error.param}"


def test_a_long_parameter_is_shortened() -> None:
    assert len(of(400, openai("No.", None, "p" * 5000)).param or "") == MAX_PARAM_CHARS


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ({"error": {"message": "x", "type": "server_error", "code": None}}, UpstreamError),
        ({"error": "the runner was killed"}, UpstreamError),
        ({"error": {"message": "x", "code": 502}, "choices": []}, UpstreamError),
        ({"error": {"message": "x", "code": 429}}, ProviderBusy),
        ({"error": {"message": "x", "code": "rate_limit_exceeded"}}, ProviderBusy),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, ProviderBusy),
        ({"error": {"message": "x", "type": "service_unavailable_error"}}, ProviderBusy),
        ({"error": {"message": "too long", "type": "BadRequestError", "code": 400}}, InvalidRequest),
        (
            {"object": "error", "message": "too long", "type": "BadRequestError", "code": 400},
            InvalidRequest,
        ),
        ({"error": {"message": "x", "code": "insufficient_quota"}}, ProviderRefused),
        ({"error": {"message": "x", "code": "401"}}, ProviderRefused),
        ({"error": {}}, UpstreamError),
    ],
)
def test_what_an_error_within_an_answer_means(document: Any, kind: type[ZoranError]) -> None:
    assert type(refusals.reported(document)) is kind


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False)
    | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "detail", "details", "code", "loc", "msg", "param"]), inner
        )
    ),
    max_leaves=12,
)


@given(
    st.integers(300, 999),
    json_values.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40),
)
def test_any_body_becomes_an_error(status: int, body: bytes) -> None:
    assert isinstance(refusals.of(status, {}, body), ZoranError)


@given(json_values)
def test_any_error_object_becomes_an_error(document: Any) -> None:
    assert isinstance(refusals.reported(document), ZoranError)


# -- retry-after ---------------------------------------------------------------------------------


def at(seconds: float) -> str:
    return format_datetime(datetime.fromtimestamp(NOW + seconds, UTC), usegmt=True)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "250.5", "retry-after": "9"}, 0.2505),
        ({"retry-after": "20"}, 20.0),
        ({"retry-after": " 2.5 "}, 2.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after": at(30)}, 30.0),
        ({"retry-after": at(-30)}, 0.0),
        ({"retry-after": at(90), "date": at(60)}, 30.0),
        ({"retry-after": at(40), "date": "yesterday"}, 40.0),
        ({"retry-after": "999999999"}, MAX_RETRY_AFTER_S),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, MAX_RETRY_AFTER_S),
        ({"retry-after": "NaN"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e9999"}, None),
        ({"retry-after": "Fri, 99 Foo 2020 99:99:99 GMT"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_how_long_a_provider_wants_to_be_left_alone(headers: dict[str, str], wait_s: float | None) -> None:
    assert retry_after_s(headers, NOW) == (None if wait_s is None else pytest.approx(wait_s))


@given(st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms", "date"]), st.text(max_size=40)))
def test_whatever_it_says_the_wait_is_sane(headers: dict[str, str]) -> None:
    wait_s = retry_after_s(headers, NOW)
    assert wait_s is None or 0 <= wait_s <= MAX_RETRY_AFTER_S


def test_the_wait_is_told_with_the_error() -> None:
    assert of(429, b"", retry_after_ms="1200").retry_after_s == pytest.approx(1.2)
    assert of(529, b"", retry_after=at(12)).retry_after_s == pytest.approx(12)
    assert of(503, b"").retry_after_s is None


@pytest.mark.parametrize(
    ("delay", "wait_s"),
    [
        ("34.07s", 34.07),
        ("0s", 0.0),
        ("999999999s", MAX_RETRY_AFTER_S),
        ("soon", None),
        ("xs", None),
        (5, None),
    ],
)
def test_geminis_wish_stands_in_the_body(delay: Any, wait_s: float | None) -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.Help"}, "?", RETRY_INFO | {"retryDelay": delay}]
    body = gemini(429, "RESOURCE_EXHAUSTED", details=details)
    assert of(429, body).retry_after_s == wait_s
    assert refusals.reported(body).retry_after_s == wait_s, "in the middle of a stream"
    assert of(429, body, retry_after="3").retry_after_s == 3.0, "the header comes first"
