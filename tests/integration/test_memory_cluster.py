"""The memory on a real Ray cluster of two nodes, of which shards and a node are killed."""

import pytest

from tests.integration.drive import driven


@pytest.mark.integration
def test_shards_and_nodes_come_and_go_and_nothing_is_lost_or_comes_back() -> None:
    told = driven("memory_drive.py")
    assert told["copies"] == told["copies_then"] == [True, True], "every record is on both nodes"
    for moment in ("after_kills", "without_node", "node_back", "grown", "shrunk"):
        faults = told[moment]
        assert (faults["lost"], faults["back"], faults["strangers"]) == (0, 0, 0), moment
        assert faults["found"] > 0, moment
    assert told["each_twice"], "a third shard got what it has to hold, and nobody has more"
    assert told["all_have_some"]
    assert told["shards_left"], "what was lost for good is taken out of the layout"
    assert told["files_with_facts"] == 0, "what was forgotten is in no file after a compaction"
