"""Actors by name in a real Ray: found, restarted, replaced."""

import pytest

from tests.integration.drive import driven

pytestmark = pytest.mark.integration


def test_whoever_has_the_name_is_called() -> None:
    seen = driven("names_drive.py")
    assert seen["nobody"] == "ValueError"
    assert (seen["found"], seen["told"]) == ("first", ["a word"])
    assert seen["late"] == "TimeoutError"
    assert seen["restarted"] == "first"
    assert seen["dead"] in ("ValueError", "ActorDiedError")
    assert seen["replaced"] == "second"
