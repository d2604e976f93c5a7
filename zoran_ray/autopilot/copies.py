"""Where our bare copies of repositories lie, and what becomes of those nobody needs. Knows no git."""

import hashlib
import re
import secrets
import shutil
from collections.abc import Collection
from pathlib import Path

COPIES = "copies"
"""In the folder of tasks."""
_NAME = re.compile(r"[0-9a-f]{64}")
_GONE = ".gone-"


def copy_of(folder: Path, remote: str) -> Path:
    """The folder of the copy of a remote. Args: folder: Of all copies."""
    return folder / hashlib.sha256(remote.encode()).hexdigest()


def unneeded(folder: Path, remotes: Collection[str]) -> list[Path]:
    """Copies that are of none of these remotes."""
    if not folder.is_dir():
        return []
    needed = {copy_of(folder, remote).name for remote in remotes}
    return [path for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.name not in needed]


def take_away(copy: Path) -> None:
    """A copy is none any more, at once; what is left of it, `sweep` deletes."""
    copy.rename(copy.with_name(f"{_GONE}{secrets.token_hex(8)}"))


def sweep(folder: Path) -> None:
    """Deletes what was taken away, by whatever process. Raises: OSError."""
    for path in folder.glob(f"{_GONE}*"):
        shutil.rmtree(path)
