import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from zoran_ray import errors
from zoran_ray.errors import ZoranError
from zoran_ray.wire import Endpoint, Usage, UsageFilter, answer, event

STATUSES = {
    errors.InvalidRequest: 400,
    errors.Unauthenticated: 401,
    errors.PermissionDenied: 403,
    errors.RouteNotFound: 404,
    errors.ModelNotFound: 404,
    errors.RecordNotFound: 404,
    errors.UnknownRequest: 404,
    errors.MethodNotAllowed: 405,
    errors.BodyTooLarge: 413,
    errors.RateLimited: 429,
    errors.EngineError: 500,
    errors.UpstreamError: 502,
    errors.ProviderBusy: 503,
    errors.ProviderRefused: 502,
    errors.BudgetExceeded: 402,
    errors.NoArmFits: 400,
    errors.Unavailable: 503,
    errors.Overloaded: 503,
    errors.NoReplica: 503,
    errors.EngineMissing: 503,
    errors.ModelLoadError: 503,
    errors.DeadlineExceeded: 504,
}
OUR_OWN_FAULT = [errors.ConfigError("/etc/zoran.yaml: …"), errors.Unreachable("…"), ValueError("secret")]


def shared_data() -> Path:
    beside = Path(__file__).parents[3] / "shared" / "data"
    return Path(os.environ.get("ZORAN_SHARED_DATA", beside))


@pytest.fixture(scope="module")
def openapi() -> dict[str, Any]:
    path = shared_data() / "apis" / "openai-subset.openapi.json"
    if not path.exists():
        pytest.skip(f"NOT VALIDATED against OpenAI's schema: {path} is absent; set ZORAN_SHARED_DATA")
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def check(document: Any, schema: str, openapi: dict[str, Any]) -> None:
    jsonschema.validate(document, {"$ref": f"#/components/schemas/{schema}", **openapi})


def everything() -> list[BaseException]:
    typed = [kind("Say what to do.", param="n", retry_after_s=1.25) for kind in STATUSES]
    return [*typed, *(kind("Say what to do.") for kind in STATUSES), *OUR_OWN_FAULT]


@pytest.mark.parametrize(("kind", "status"), STATUSES.items())
def test_every_kind_has_its_status(kind: type[ZoranError], status: int) -> None:
    assert answer(kind("…"), request_id="r").status == status


def test_openai_bodies_and_events_obey_the_published_schema(openapi: dict[str, Any]) -> None:
    for error in everything():
        check(json.loads(answer(error, request_id="r").body), "ErrorResponse", openapi)
        first = event(error, "openai").split(b"\n\n")[0]
        check(json.loads(first.removeprefix(b"data: ")), "ErrorResponse", openapi)
        line = event(error, "responses", sequence_number=3).split(b"\n")[1]
        check(json.loads(line.removeprefix(b"data: ")), "ResponseErrorEvent", openapi)


def test_the_openai_body_says_all_four_things() -> None:
    told = answer(errors.ModelNotFound("No such model.", param="model"), request_id="req-7")
    assert json.loads(told.body) == {
        "error": {
            "message": "No such model.",
            "type": "invalid_request_error",
            "param": "model",
            "code": "model_not_found",
        }
    }
    assert told.headers == {"content-type": "application/json", "x-request-id": "req-7"}


def test_a_spent_budget_is_told_as_openai_would() -> None:
    spent = errors.BudgetExceeded("The budget of this API key is $5.00 a day.", param="max_tokens")
    told = answer(spent, request_id="r")
    assert told.status == 402
    assert json.loads(told.body)["error"] == {
        "message": "The budget of this API key is $5.00 a day.",
        "type": "insufficient_quota",
        "param": "max_tokens",
        "code": "budget_exceeded",
    }
    assert not {"retry-after", "retry-after-ms"} & set(told.headers)


def test_the_anthropic_body_carries_the_request_id() -> None:
    told = answer(errors.Overloaded("Full."), dialect="anthropic", request_id="req-7")
    assert json.loads(told.body) == {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "Full."},
        "request_id": "req-7",
    }
    assert told.headers["request-id"] == told.headers["x-request-id"] == "req-7"


@pytest.mark.parametrize("error", OUR_OWN_FAULT)
def test_what_was_not_meant_for_callers_is_not_told(error: Exception) -> None:
    told = answer(error, request_id="r")
    assert (told.status, json.loads(told.body)["error"]["code"]) == (500, "internal_error")
    assert str(error).encode() not in told.body
    assert str(error).encode() not in event(error, "responses")


def test_a_message_that_is_not_unicode_is_still_told() -> None:
    assert b'"no /?"' in answer(errors.RouteNotFound("no /\udcff"), request_id="r").body


def test_waits_are_given_in_whole_seconds_and_exactly() -> None:
    headers = answer(errors.RateLimited("…", retry_after_s=1.25), request_id="r").headers
    assert (headers["retry-after"], headers["retry-after-ms"]) == ("2", "1250")
    headers = answer(errors.Overloaded("…", retry_after_s=0.0), request_id="r").headers
    assert (headers["retry-after"], headers["retry-after-ms"]) == ("1", "1")


def test_429_and_503_always_say_when_to_come_back() -> None:
    for kind in (errors.Overloaded, errors.NoReplica):
        assert answer(kind("…"), request_id="r").headers["retry-after"] == "1"
    assert "retry-after" not in answer(errors.DeadlineExceeded("…"), request_id="r").headers


def test_a_429_that_can_never_succeed_says_so() -> None:
    headers = answer(errors.RateLimited("larger than the limit"), request_id="r").headers
    assert headers["x-should-retry"] == "false"
    assert "retry-after" not in headers


def test_clients_are_told_not_to_repeat_what_cannot_succeed() -> None:
    assert answer(errors.EngineMissing("…"), request_id="r").headers["x-should-retry"] == "false"
    assert "x-should-retry" not in answer(errors.UpstreamError("…"), request_id="r").headers


def test_401_and_405_name_the_way_in() -> None:
    assert answer(errors.Unauthenticated("…"), request_id="r").headers["www-authenticate"] == "Bearer"
    refused = answer(errors.MethodNotAllowed("…"), request_id="r", allow=("GET", "HEAD"))
    assert refused.headers["allow"] == "GET, HEAD"


def test_a_broken_stream_tells_what_it_did_use() -> None:
    told = event(errors.UpstreamError("…"), "openai", usage=Usage(9, 3, 4))
    stream = UsageFilter(Endpoint.CHAT_COMPLETIONS, drop_usage=True)
    assert stream.feed(told) == told, "it is no usage event of the engine's"
    assert (stream.failed, stream.finished, stream.usage) == (True, True, Usage(9, 3, 4))
    line = told.split(b"\n\n")[0].removeprefix(b"data: ")
    assert json.loads(line) == {
        "error": {"message": "…", "type": "server_error", "param": None, "code": "upstream_error"},
        "usage": {
            "prompt_tokens": 9,
            "completion_tokens": 3,
            "total_tokens": 12,
            "prompt_tokens_details": {"cached_tokens": 4},
        },
    }
    for dialect in ("responses", "anthropic"):
        assert b"usage" not in event(errors.UpstreamError("…"), dialect, usage=Usage(9, 3, 4))
