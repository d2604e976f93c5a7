from typing import Any

import pytest

from zoran_ray.sandbox.labels import DEPLOYMENT, JOB, Labels
from zoran_ray.sandbox.reaper import is_orphan

OURS, THEIRS = "a" * 32, "b" * 32


def container(deployment: str, state: str, made_at_s: float, deadline_s: float) -> dict[str, Any]:
    return {"State": state, "Labels": Labels(deployment, "j", made_at_s, deadline_s).as_docker()}


@pytest.mark.parametrize(
    ("one", "orphan"),
    [
        (container(OURS, "running", 0, 200), False),
        (container(OURS, "running", 0, 99), True),
        (container(OURS, "created", 90, 200), False),
        (container(OURS, "created", 70, 200), True),
        (container(OURS, "exited", 70, 200), True),
        (container(THEIRS, "exited", 0, 1), False),
        (container(THEIRS, "running", 0, 1), False),
        ({"State": "exited", "Labels": {}}, False),
        ({"State": "exited", "Labels": None}, False),
        ({"State": "exited", "Labels": {DEPLOYMENT: OURS, JOB: "j"}}, False),
    ],
)
def test_only_our_own_that_nobody_needs(one: dict[str, Any], orphan: bool) -> None:
    assert is_orphan(one, OURS, 100.0) is orphan
