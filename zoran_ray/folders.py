"""What several rooms do with folders and files of their own. Knows no room."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Waits until the folder's names are on the disk: a new or renamed file is found after a loss of power.

    Raises:
        OSError: They may not be.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def create_file(path: Path, content: bytes) -> None:
    """Makes a file that only its owner can read, on the disk and whole, unless there is one already.

    Raises:
        OSError: It cannot be made.
    """
    with _drafted(path, content) as draft, suppress(FileExistsError):  # another process was first
        os.link(draft, path)


def replace_file(path: Path, content: bytes) -> None:
    """Makes a file that only its owner can read, on the disk and whole, in the place of any other.

    Raises:
        OSError: It cannot be made; what was there is there still.
    """
    with _drafted(path, content) as draft:
        draft.replace(path)


@contextmanager
def _drafted(path: Path, content: bytes) -> Iterator[Path]:
    """A file with this content beside `path`, gone afterwards under its own name."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(handle)
        yield draft
        sync_folder(path.parent)
    finally:
        draft.unlink(missing_ok=True)
