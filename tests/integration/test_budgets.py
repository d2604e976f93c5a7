"""Budgets over real Ray calls, with the authority killed in the middle."""

from pathlib import Path

import pytest

from tests.integration.drive import driven


@pytest.mark.integration
def test_no_budget_is_exceeded_and_nothing_is_lost(tmp_path: Path) -> None:
    told = driven("budget_drive.py", tmp_path)
    assert told["ended"]["answered"] > 50
    assert told["ended"]["budget_exceeded"] >= 20
    assert told["told"].startswith("The budget of this ")
    assert "is left" in told["told"], "the authority's own words, not Ray's"
    assert told["most"]["key-a"] <= 0.30
    assert told["most"]["key-b"] <= 0.40
    assert told["most"][""] <= 0.50
    assert told["settled"] == told["paid"]
    assert set(told["reserved"].values()) == {0}
