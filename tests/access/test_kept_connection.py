"""One connection for all threads that never writes to a file that is gone."""

import shutil
import sqlite3
import threading

import pytest

from zoran_ray.access.private_db import PrivateDatabase
from zoran_ray.errors import ConfigError

SCHEMA = "CREATE TABLE notes (note TEXT NOT NULL) STRICT"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "notes.sqlite"


def database(path, **options):
    return PrivateDatabase(path, SCHEMA, "The notebook", "begin again", keep_open=True, **options)


@pytest.fixture
def db(path):
    kept = database(path)
    yield kept
    kept.close()


def add(db, note):
    with db.write() as connection:
        connection.execute("INSERT INTO notes VALUES (?)", (note,))


def notes(db):
    with db.read() as connection:
        return [note for (note,) in connection.execute("SELECT note FROM notes ORDER BY rowid")]


def test_it_is_kept_and_others_see_what_it_writes(db, path):
    add(db, "a")
    with db.read() as first:
        pass
    with db.read() as second:
        assert second is first
    assert notes(database(path)) == ["a"]
    db.close()
    add(db, "b")
    assert notes(db) == ["a", "b"]


def test_a_file_that_was_removed_with_its_log_is_made_anew(db, path):
    add(db, "old")
    shutil.rmtree(path.parent)
    add(db, "new")
    assert notes(db) == notes(database(path)) == ["new"]


def test_a_file_that_was_replaced_is_read_from_then_on(db, path, tmp_path):
    other = tmp_path / "other" / "notes.sqlite"
    kept = database(other)
    add(kept, "other")
    kept.close()
    add(db, "mine")
    for file in path.parent.glob("notes.sqlite-*"):
        file.unlink()
    other.replace(path)
    add(db, "more")
    assert notes(db) == notes(database(path)) == ["other", "more"]


def test_a_log_without_its_file_is_never_taken_for_changes_to_a_new_one(db, path):
    add(db, "old")
    assert path.with_name("notes.sqlite-wal").exists()
    path.rename(path.with_name("kept"))
    with pytest.raises(ConfigError, match=r"notes\.sqlite-wal is still there.*Put the file back"):
        add(db, "new")
    path.with_name("kept").rename(path)
    add(db, "new")
    assert notes(db) == ["old", "new"]


def test_a_file_that_was_cut_short_is_damaged(db, path):
    add(db, "a")
    db.close()
    add(db, "b")
    path.write_bytes(b"")
    for use in (lambda: add(db, "c"), lambda: notes(db)):
        with pytest.raises(ConfigError, match=r"damaged.*mkdir.*mv .* and begin again"):
            use()


@pytest.mark.parametrize("which", ["file", "folder"])
def test_one_that_is_opened_to_others_is_refused_at_once(db, path, which):
    add(db, "a")
    (path if which == "file" else path.parent).chmod(0o755)
    with pytest.raises(ConfigError, match="chmod"):
        notes(db)


def spoil(db, statement):
    with db.write() as connection:
        connection.execute("INSERT INTO notes VALUES ('lost')")
        connection.execute(statement)


def test_after_a_failure_it_goes_on(db):
    add(db, "a")
    with pytest.raises(ConfigError, match="cannot be used"):
        spoil(db, "INSERT INTO nothing VALUES (1)")
    with pytest.raises(TypeError):
        spoil(db, None)
    add(db, "b")
    assert notes(db) == ["a", "b"]


def test_threads_take_turns(db, path):
    def work(name):
        for n in range(20):
            add(db, f"{name}{n}")
            assert f"{name}{n}" in notes(db)

    workers = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(set(notes(database(path)))) == 80


UPGRADES = (("ALTER TABLE notes ADD COLUMN place TEXT",), ("CREATE TABLE more (n INTEGER)",))


@pytest.mark.parametrize("keep_open", [True, False])
@pytest.mark.parametrize("how", ["read", "write"])
def test_an_older_file_is_upgraded_by_whoever_comes_first(path, keep_open, how):
    old = PrivateDatabase(path, SCHEMA, "The notebook", "begin again")
    add(old, "a")
    new = PrivateDatabase(path, "", "The notebook", "begin again", upgrades=UPGRADES, keep_open=keep_open)
    with getattr(new, how)() as connection:
        assert connection.execute("SELECT note, place FROM notes").fetchall() == [("a", None)]
        assert connection.execute("SELECT * FROM more").fetchall() == []
        assert connection.execute("PRAGMA user_version").fetchone() == (3,)
    with pytest.raises(ConfigError, match="newer"):
        notes(old)
    new.close()


def test_an_upgrade_that_fails_changes_nothing(path):
    old = PrivateDatabase(path, SCHEMA, "The notebook", "begin again")
    add(old, "a")
    broken = (*UPGRADES, ("CREATE TABLE notes (x)",))
    new = PrivateDatabase(path, "", "The notebook", "begin again", upgrades=broken)
    with pytest.raises(ConfigError, match="already exists"):
        notes(new)
    assert notes(old) == ["a"]


def test_many_upgrade_at_once(path):
    add(PrivateDatabase(path, SCHEMA, "The notebook", "begin again"), "a")
    wrong = []

    def upgrade():
        new = PrivateDatabase(path, "", "The notebook", "begin again", upgrades=UPGRADES)
        try:
            with new.read() as connection:
                connection.execute("SELECT place FROM notes, more").fetchall()
        except (ConfigError, sqlite3.Error) as error:
            wrong.append(error)

    workers = [threading.Thread(target=upgrade) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []
