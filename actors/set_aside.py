"""A spoiled SQLite file makes room for a new one, and stays beside it. Knows nothing of its content."""

import contextlib
import secrets
import sqlite3
from pathlib import Path

from zoran_ray.errors import ConfigError


def is_spoiled(error: ConfigError) -> bool:
    """Whether it is the file that is wrong, not the disk, its space or its permissions."""
    cause = error.__cause__
    if isinstance(cause, sqlite3.OperationalError):
        return cause.sqlite_errorcode & 0xFF == sqlite3.SQLITE_ERROR  # such as: no such table
    return not isinstance(cause, OSError)


def set_aside(path: Path) -> Path:
    """Rename a closed file and its log. Returns: Where it is now."""
    aside = path.with_name(f"{path.name}.damaged-{secrets.token_hex(4)}")
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            path.with_name(f"{path.name}{suffix}").rename(f"{aside}{suffix}")
    return aside
