import math
import pickle
from dataclasses import replace

import numpy as np
import pytest

from zoran_ray.errors import InvalidRequest
from zoran_ray.routing.reports import Answered, Scored

X = np.linspace(-1, 1, 24)
ANSWERED = Answered(
    "req-1", "local/a", "openai/b", 0.5, 7, X, "code", 120.0, 80.0, 1.5, 2e-4, False, 0.75, "key-1", 1.7e9
)
SCORED = Scored("req-1", 0.5, "key-1", 1.7e9)


def test_they_travel() -> None:
    for report in (ANSWERED, SCORED):
        assert pickle.loads(pickle.dumps(report)) == report
    np.testing.assert_allclose(ANSWERED.vector(), X, atol=1e-7)
    assert replace(ANSWERED, x=ANSWERED.blob) == ANSWERED


def test_what_is_not_known_may_be_missing() -> None:
    assert replace(ANSWERED, output_tokens=None, latency_s=None, score=None, key_id="", usd=0.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"request_id": ""}, {"request_id": "x" * 300}, {"request_id": "a\nb"}, {"arm": ""}, {"arm": 3},
        {"chosen": "x" * 500}, {"propensity": 0.0}, {"propensity": 1.1}, {"propensity": math.nan},
        {"task": "cooking"}, {"input_tokens": -1}, {"input_tokens": math.inf}, {"output_tokens": -1.0},
        {"latency_s": -0.1}, {"latency_s": 1e9}, {"usd": math.nan}, {"usd": -1.0}, {"usd": 1e12},
        {"failed": 1}, {"score": 1.5}, {"score": "good"}, {"score": True}, {"key_id": "x" * 500},
        {"at": math.inf}, {"snapshot_version": -1}, {"x": b""}, {"x": b"123"}, {"x": "text"},
        {"x": np.array([math.nan])}, {"x": np.array([1e300])}, {"x": np.zeros(5000)}, {"x": None},
    ],
)  # fmt: skip
def test_nonsense_is_no_answer(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        replace(ANSWERED, **wrong)


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"score": 1.5}, "score"), ({"score": -0.1}, "score"), ({"score": math.nan}, "score"),
        ({"score": None}, "score"), ({"score": "1"}, "score"), ({"score": True}, "score"),
        ({"request_id": ""}, "request_id"), ({"request_id": None}, "request_id"),
        ({"comment_chars": 10**6}, "comment_chars"), ({"at": math.nan}, "at"),
    ],
)  # fmt: skip
def test_nonsense_is_no_score(wrong: dict[str, object], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        replace(SCORED, **wrong)
    assert refused.value.param == param
