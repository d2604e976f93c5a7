"""The Resonator as a Ray actor whose process is killed: what it has acknowledged it still knows."""

import pytest

from tests.integration.drive import driven


@pytest.mark.integration
def test_kill_9_loses_nothing_that_was_acknowledged() -> None:
    told = driven("resonator_drive.py")
    assert told["lost"] == []
    assert told["twice"] == 0
    assert told["kills"] == 3
    assert told["epochs"] == 2, "a new life, and everything learned again in it"
    assert told["outcomes"] == told["acknowledged"] + 1
    assert told["requests"] == told["acknowledged"] == 600
    assert told["scores"] == ["counted", "duplicate"]
    assert sorted(told["snapshot"]) == ["local/large", "local/small"]
