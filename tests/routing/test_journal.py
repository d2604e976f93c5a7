"""Decisions and scores on disk, through a real private SQLite file."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from zoran_ray.access.private_db import PrivateDatabase
from zoran_ray.errors import ConfigError
from zoran_ray.routing import journal as journal_module
from zoran_ray.routing.journal import KEPT_S, LATE_S, SCHEMA, Mark, RoutingJournal
from zoran_ray.routing.reports import Answered, Scored

NOW = 1_700_000_000.0
ANSWERED = Answered(
    "r0", "a", "b", 0.5, 7, np.linspace(-1, 1, 8), "code", 120.0, 80.0, 1.5, 2e-4, False, 0.75, "alice", NOW
)


def answered(n: int, **fields: object) -> Answered:
    return replace(ANSWERED, request_id=f"r{n}", **fields)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "routing.sqlite"


@pytest.fixture
def journal(path: Path):
    made = RoutingJournal(PrivateDatabase(path, SCHEMA, "The journal", "start again", keep_open=True))
    yield made
    made.close()


def test_before_anything_was_written(journal: RoutingJournal) -> None:
    assert journal.latest() is None
    assert journal.newest() == Mark()
    assert journal.decisions() == journal.late_scores() == list(journal.replay()) == []


def test_what_was_recorded_comes_back_as_it_was(journal: RoutingJournal) -> None:
    sent = [
        answered(1),
        answered(2, output_tokens=None, latency_s=None, score=None, failed=True, key_id=""),
    ]
    journal.record(sent)
    assert [logged.answered for logged in journal.decisions()] == sent
    assert [logged.seq for logged in journal.replay()] == [1, 2]
    assert journal.newest() == Mark(2, 0)


def test_a_report_that_is_sent_again_counts_once(journal: RoutingJournal) -> None:
    assert [logged.seq for logged in journal.record([answered(1), answered(2), answered(1)])] == [1, 2]
    assert [logged.answered.request_id for logged in journal.record([answered(2), answered(3)])] == ["r3"]
    assert journal.record([]) == []


def score(journal: RoutingJournal, n: int, value: float = 1.0, **fields: object) -> str:
    (status,) = journal.score([replace(Scored(f"r{n}", value, "alice", NOW + 1), **fields)])
    return status


def test_each_request_has_one_score(journal: RoutingJournal) -> None:
    journal.record([answered(n) for n in range(4)])
    assert score(journal, 0, 0.25) == "counted"
    assert score(journal, 0, 0.5) == "duplicate"
    assert score(journal, 9) == "unknown"
    assert score(journal, 1, key_id="bob") == "unknown", "only the key that asked may score"
    assert score(journal, 2, at=NOW + LATE_S + 1) == "late"
    assert score(journal, 2) == "duplicate"
    assert [(late.answered.request_id, late.score) for late in journal.late_scores()] == [("r0", 0.25)]


def test_a_sign_counts_until_somebody_says(journal: RoutingJournal) -> None:
    journal.record([answered(n) for n in range(2)])
    assert score(journal, 0, 0.25, implicit=True) == "counted"
    assert score(journal, 0, 0.25, implicit=True) == "duplicate"
    assert score(journal, 0, 0.9) == "counted"
    assert score(journal, 1, 0.9) == "counted"
    assert score(journal, 1, 0.25, implicit=True) == "duplicate"
    first, second = journal.replay()
    assert (first.explicit, first.implicit) == (0.9, 0.25)
    assert (second.explicit, second.implicit) == (0.9, None)
    assert [(late.score, late.implicit) for late in journal.late_scores(1)] == [(0.9, False), (0.9, False)]


def test_pages(journal: RoutingJournal) -> None:
    journal.record([answered(n) for n in range(25)])
    assert [logged.seq for logged in journal.decisions(after=10, most=5)] == [11, 12, 13, 14, 15]


def test_the_latest_checkpoint_is_kept_and_the_log_bounded(
    journal: RoutingJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "MOST_ROWS", 10)
    journal.record([answered(0, at=NOW - KEPT_S), *(answered(n) for n in range(1, 15))])
    journal.score([Scored(f"r{n}", 1.0, "alice", NOW + 1) for n in (0, 2, 12)])
    journal.keep(Mark(3, 1), b"one", NOW)
    journal.keep(Mark(14, 3), b"two", NOW + 1)
    assert journal.latest() == (Mark(14, 3), b"two")
    assert [logged.seq for logged in journal.replay()] == list(range(6, 16))
    assert [late.answered.request_id for late in journal.late_scores()] == ["r12"]
    journal.keep(Mark(14, 3), b"three", NOW + KEPT_S + 60)
    assert list(journal.replay()) == []
    journal.record([answered(99)])
    assert journal.newest().answered == 16, "a number is never used again"


def test_nothing_of_a_comment_is_written(journal: RoutingJournal, path: Path) -> None:
    journal.record([answered(1)])
    score(journal, 1, comment_chars=17)
    with sqlite3.connect(path) as db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(scores)")]
    db.close()
    assert columns == ["seq", "request_id", "implicit", "score", "at", "comment_chars"]


def test_a_foreign_or_damaged_file_is_noticed(journal: RoutingJournal, path: Path) -> None:
    journal.check()
    journal.record([answered(1)])
    with sqlite3.connect(path) as db:
        db.execute("UPDATE decisions SET propensity = 7.0")
    db.close()
    with pytest.raises(ConfigError, match="damaged"):
        journal.decisions()
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE scores")
    db.close()
    with pytest.raises(ConfigError):
        journal.check()
