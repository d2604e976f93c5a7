import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.errors import InvalidRequest
from zoran_ray.routing import Objective

json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(
    ["max_usd", "latency_slo_ms", "quality_weight", "budget_usd_per_1k", "arms", "residency", "other"]
)


def test_says_what_it_says() -> None:
    given = {
        "max_usd": 0.01, "latency_slo_ms": 500, "quality_weight": 2, "budget_usd_per_1k": 0.5,
        "arms": ["a/b", "local/c", "a/b"], "residency": "local",
    }  # fmt: skip
    objective = Objective.of(given)
    assert objective == Objective(
        max_usd=0.01, latency_slo_ms=500.0, quality_weight=2.0, budget_usd_per_1k=0.5,
        arms=("a/b", "local/c"), residency="local",
    )  # fmt: skip
    assert pickle.loads(pickle.dumps(objective)) == objective


@pytest.mark.parametrize("nothing", [None, {}, {"max_usd": None, "arms": None, "residency": None}])
def test_says_nothing(nothing: object) -> None:
    assert Objective.of(nothing) == Objective()


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ([], "zoran"),
        ("cheap", "zoran"),
        ({"max_eur": 1}, "zoran.max_eur"),
        ({"x" * 500: 1}, "zoran." + "x" * 64),
        ({"max_usd": "1"}, "zoran.max_usd"),
        ({"max_usd": True}, "zoran.max_usd"),
        ({"max_usd": -0.1}, "zoran.max_usd"),
        ({"max_usd": math.nan}, "zoran.max_usd"),
        ({"max_usd": math.inf}, "zoran.max_usd"),
        ({"max_usd": 10**400}, "zoran.max_usd"),
        ({"latency_slo_ms": 0}, "zoran.latency_slo_ms"),
        ({"latency_slo_ms": -5}, "zoran.latency_slo_ms"),
        ({"quality_weight": []}, "zoran.quality_weight"),
        ({"budget_usd_per_1k": -1}, "zoran.budget_usd_per_1k"),
        ({"arms": "a"}, "zoran.arms"),
        ({"arms": []}, "zoran.arms"),
        ({"arms": ["a", 1]}, "zoran.arms"),
        ({"arms": [""]}, "zoran.arms"),
        ({"arms": ["\x1b[31m"]}, "zoran.arms"),
        ({"arms": ["a"] * 65}, "zoran.arms"),
        ({"residency": "eu"}, "zoran.residency"),
        ({"residency": ["local"]}, "zoran.residency"),
    ],
)
def test_nonsense_names_its_field(given: object, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Objective.of(given)
    assert refused.value.param == param


@given(json | st.dictionaries(names, json))
def test_anything_is_understood_or_refused(given: object) -> None:
    try:
        objective = Objective.of(given)
    except InvalidRequest as error:
        refused = error
    else:
        assert objective.max_usd >= 0
        assert math.isfinite(objective.quality_weight)
        return
    assert refused.param is not None
    assert refused.param.startswith("zoran")
