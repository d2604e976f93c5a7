"""What several rooms do with folders. Knows no room."""

import os
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
