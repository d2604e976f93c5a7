"""The vectors of shards that are Ray actors, made anew with what a gateway's model gives them."""

import pytest

from tests.integration.drive import driven


@pytest.mark.integration
def test_another_embedder_is_refused_until_the_memory_is_reindexed() -> None:
    told = driven("memory_reindex_drive.py")
    assert "zoran memory reindex" in told["refused"]
    assert told["readable"] == "fact 1 about the number 7"
    made = {"embedder": "local/model", "dimension": 32}
    assert told["done"] == {**made, "shards": 2, "skipped": 0, "records": 150}
    assert told["told"] == "150/150"
    assert told["found"] == "r77"
    assert told["cosine"] == pytest.approx(1.0, abs=1e-5)
    assert told["again"] == {**made, "shards": 0, "skipped": 2, "records": 0}
