"""The file that knows all batches and files. Knows its tables, not what is done with them."""

from pathlib import Path

from zoran_ray.access.private_db import PrivateDatabase

DATABASE = "batch.sqlite"

SCHEMA = """
CREATE TABLE files (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, purpose TEXT NOT NULL, filename TEXT NOT NULL,
    bytes INTEGER NOT NULL, created INTEGER NOT NULL, expires INTEGER
) STRICT;
CREATE INDEX files_of ON files (owner, created);
CREATE TABLE batches (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, key_id TEXT NOT NULL, endpoint TEXT NOT NULL,
    input_file_id TEXT NOT NULL, window TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER NOT NULL,
    status TEXT NOT NULL, metadata TEXT NOT NULL, model TEXT NOT NULL DEFAULT '',
    in_progress INTEGER NOT NULL DEFAULT 0, finalizing INTEGER NOT NULL DEFAULT 0,
    completed_at INTEGER NOT NULL DEFAULT 0, failed_at INTEGER NOT NULL DEFAULT 0,
    expired_at INTEGER NOT NULL DEFAULT 0, cancelling INTEGER NOT NULL DEFAULT 0,
    cancelled_at INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0,
    completed INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0,
    output_file_id TEXT NOT NULL DEFAULT '', error_file_id TEXT NOT NULL DEFAULT '',
    faults TEXT NOT NULL DEFAULT '[]', ending TEXT,
    prompt_tokens INTEGER NOT NULL DEFAULT 0, cached_tokens INTEGER NOT NULL DEFAULT 0,
    completion_tokens INTEGER NOT NULL DEFAULT 0, nano_usd INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX batches_of ON batches (owner, created);
CREATE TABLE lines (
    batch TEXT NOT NULL, number INTEGER NOT NULL, at INTEGER NOT NULL, size INTEGER NOT NULL,
    custom_id TEXT NOT NULL, model TEXT NOT NULL, state TEXT NOT NULL, PRIMARY KEY (batch, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX lines_left ON lines (batch, state, number);
CREATE TABLE entries (
    place INTEGER PRIMARY KEY AUTOINCREMENT, batch TEXT NOT NULL, good INTEGER NOT NULL, data BLOB NOT NULL
) STRICT;
CREATE INDEX entries_of ON entries (batch, good, place);
"""


def batch_database(folder: Path) -> PrivateDatabase:
    """The database in `folder`; made when it is first written to."""
    return PrivateDatabase(
        folder / DATABASE,
        SCHEMA,
        "The file of batches",
        "start it again; batches and uploaded files are then gone",
        keep_open=True,
    )
