"""The real policy, in a real Serve controller, on a Ray cluster whose nodes come and go."""

from itertools import pairwise

import pytest

from tests.integration.drive import driven


@pytest.mark.integration
def test_one_to_many_to_zero_and_back() -> None:
    told = driven("autoscaling_drive.py")
    seen: list[int] = told["seen"]
    peak, zero = seen.index(3), seen.index(0, 1)
    assert told["most"] == 3, "never more than the GPUs the cluster can have"
    assert all(b > a for a, b in pairwise(seen[: peak + 1]))
    assert all(b < a for a, b in pairwise(seen[peak : zero + 1]))
    assert 1 in seen[peak:zero], "through one, where it stays until it has been idle for long"
    assert seen[zero:] == [0, 1]
    assert told["answer"] == "answered"
