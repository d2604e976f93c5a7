"""The journal as a Ray actor whose process is killed: what it has acknowledged is in its file."""

import pytest

from tests.integration.drive import driven


@pytest.mark.integration
def test_kill_9_loses_no_entry_that_was_acknowledged() -> None:
    told = driven("journal_drive.py")
    assert told["acknowledged"] == 300
    assert told["wrong"] == []
    assert told["good"]
    assert told["refused"] == "InvalidRequest"
    assert told["names"] == 1, "a subject has one name in all lives"
    assert not told["linked"], "and another after it was forgotten"
    assert (told["decision"]["arm"], told["decision"]["key"]) == ("local/a", "k1")
