"""The bodies are what vLLM 0.32 really answered."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray import errors
from zoran_ray.errors import ZoranError
from zoran_ray.wire import answer, normalise_upstream


def body(**error: Any) -> bytes:
    return json.dumps({"error": error}).encode()


def refused(status: int, raw: bytes) -> tuple[type[ZoranError], str, str | None]:
    error = normalise_upstream(status, raw)
    return type(error), error.message, error.param


def test_a_validation_error_keeps_field_and_reason_but_not_the_value() -> None:
    message = (
        "1 validation error:\n  {'type': 'float_parsing', 'loc': 'body.temperature', 'msg': 'Input should "
        "be a valid number, unable to parse string as a number', 'input': 'hot', 'url': 'https://errors.pydantic"
        ".dev/2.14/v/float_parsing'}"
    )
    assert refused(400, body(message=message, type="Bad Request", param="body.temperature", code=400)) == (
        errors.InvalidRequest,
        "temperature: Input should be a valid number, unable to parse string as a number",
        "temperature",
    )


def test_the_eleven_types_tried_on_a_message_make_one_complaint() -> None:
    entry = (
        "  {{'type': 'missing', 'loc': 'body.messages.0.{}.role', 'msg': 'Field required', 'input': "
        "'<dict of 1 items>', 'url': 'https://errors.pydantic.dev/2.14/v/missing'}}\n"
    )
    kinds = ("ChatCompletionDeveloperMessageParam", "ChatCompletionSystemMessageParam")
    message = "11 validation errors:\n" + "".join(map(entry.format, kinds)) + "  ...and 9 more errors\n"
    param = "body.messages.0.ChatCompletionDeveloperMessageParam.role"
    assert refused(400, body(message=message, type="Bad Request", param=param, code=400)) == (
        errors.InvalidRequest,
        "messages.0.role: Field required",
        "messages.0.role",
    )


def test_an_unreadable_validation_error_is_not_repeated() -> None:
    raw = body(message="1 validation error:\n  my secret prompt", type="Bad Request", code=400)
    assert "secret" not in normalise_upstream(400, raw).message


def test_the_value_behind_a_parameter_is_left_out() -> None:
    message = "This model's maximum context length is 64 tokens. (parameter=input_tokens, value=70)"
    raw = body(message=message, type="BadRequestError", param="input_tokens", code=400)
    kept = "This model's maximum context length is 64 tokens."
    assert refused(400, raw) == (errors.InvalidRequest, kept, "input_tokens")


@pytest.mark.parametrize(
    "raw",
    [
        body(
            message="The model `x` does not exist. Valid aliases: local/other.",
            type="NotFoundError",
            param="model",
            code=404,
        ),
        body(message="The model `x` does not exist.", type="NotFoundError", param=None, code=404),
        b'{"type":"error","error":{"type":"NotFoundError","message":"The model `x` does not exist."}}',
    ],
)
def test_an_unknown_model_is_model_not_found(raw: bytes) -> None:
    kind, message, param = refused(404, raw)
    assert (kind, param) == (errors.ModelNotFound, "model")
    assert message.startswith("The model `x` does not exist.")
    assert "other" not in message


def test_other_things_not_found() -> None:
    assert refused(404, b'{"detail":"Not Found"}')[0] is errors.RouteNotFound
    lost = body(message="Response with id 'resp_1' not found.", type="invalid_request_error", code=404)
    assert refused(404, lost) == (errors.InvalidRequest, "Response with id 'resp_1' not found.", None)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, errors.UpstreamError),
        (405, errors.UpstreamError),
        (413, errors.BodyTooLarge),
        (422, errors.InvalidRequest),
        (429, errors.Overloaded),
        (500, errors.EngineError),
        (501, errors.InvalidRequest),
        (502, errors.UpstreamError),
        (503, errors.Overloaded),
        (504, errors.DeadlineExceeded),
    ],
)
def test_statuses(status: int, kind: type[ZoranError]) -> None:
    assert type(normalise_upstream(status, body(message="…", type="…", param=None, code=status))) is kind


@pytest.mark.parametrize("status", [401, 403, 500, 502, 503])
def test_the_insides_of_the_engine_stay_inside(status: int) -> None:
    raw = body(message="EngineCore at 10.0.0.7:5555 died", type="InternalServerError", code=status)
    assert "EngineCore" not in normalise_upstream(status, raw).message


@pytest.mark.parametrize(
    "private",
    [
        "http://127.0.0.1:30123/v1/x",
        "http://[::1]:8000/",
        "10.1.2.3:6379",
        "localhost:8000",
        "Bearer s3cr3t-value",
        "sk-abcdefgh12345678",
    ],
)
def test_addresses_and_secrets_are_hidden(private: str) -> None:
    message = normalise_upstream(400, body(message=f"failed at {private} today", code=400)).message
    assert message == "failed at <hidden> today"


@pytest.mark.parametrize(
    "raw", [b"", b"<html>", b"[]", b'"x"', b"{}", b'{"error":7}', b'{"error":{}}', b"\xff"]
)
def test_what_is_no_error_body_becomes_a_clean_502(raw: bytes) -> None:
    assert refused(400, raw)[0] is errors.UpstreamError


@given(st.integers(400, 599), st.binary(max_size=200) | st.text().map(lambda m: body(message=m, param=m)))
def test_anything_becomes_an_answer(status: int, raw: bytes) -> None:
    told = answer(normalise_upstream(status, raw), request_id="r")
    assert told.status >= 400
    assert set(json.loads(told.body)["error"]) == {"message", "type", "param", "code"}
