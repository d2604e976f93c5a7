import pickle

import pytest

from zoran_ray.errors import ConfigError
from zoran_ray.sandbox import JobRequest, Limits


@pytest.mark.parametrize(
    "wrong",
    [
        {"cpus": 0},
        {"timeout_s": float("nan")},
        {"memory_bytes": 1},
        {"processes": -1},
        {"cpus": float("inf")},
    ],
)
def test_a_senseless_limit_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Limits(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("environment", [{"": "x"}, {"A=B": "x"}, {"A": "x\0"}])
def test_an_improper_variable_is_refused(environment: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        Limits(environment=environment)


def test_a_request_survives_pickling_and_shows_no_content() -> None:
    request = JobRequest({"a": b"secret"}, ("true",), 1.0, Limits(environment={"A": "b"}))
    assert pickle.loads(pickle.dumps(request)) == request
    assert "secret" not in repr(request)
