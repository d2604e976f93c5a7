"""Files that come into being whole and that only their owner can read. Knows nothing of their content."""

import os
import shlex
import stat
from pathlib import Path

from zoran_ray.errors import ConfigError
from zoran_ray.folders import create_file


def create(path: Path, content: bytes, what: str) -> None:
    """Make a file (0600, in a 0700 folder) with all of its content, unless there is one already.

    Args:
        what: What the file is, for messages.

    Raises:
        ConfigError: It cannot be made.
    """
    try:
        if not os.path.lexists(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            create_file(path, content)
    except OSError as error:
        raise unusable(path, what, error) from error


def open_private(path: Path, flags: int, what: str) -> int:
    """File descriptor of a plain file that is closed to other users.

    Args:
        flags: `os.O_RDONLY` or `os.O_RDWR`.

    Raises:
        ConfigError: Missing, a link, no file or open to others; says what to do.
    """
    handle = open_plain(path, what, flags | os.O_NOFOLLOW)
    mode = stat.S_IMODE(os.fstat(handle).st_mode)
    if mode & 0o077:
        os.close(handle)
        raise ConfigError(
            f"{path} is open to other users (mode {mode:03o}). Run: chmod 600 {shlex.quote(str(path))}"
        )
    return handle


def open_plain(path: Path, what: str, flags: int = os.O_RDONLY) -> int:
    """File descriptor of a plain file, whoever may read it.

    Raises:
        ConfigError: Missing or no plain file; says what to do.
    """
    try:
        handle = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe must not make us wait
    except OSError as error:
        raise unusable(path, what, error) from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise ConfigError(f"{what} {path} is no plain file. Move away what is there.")
    return handle


def unusable(path: Path, what: str, error: OSError) -> ConfigError:
    """What to say where the system refuses."""
    return ConfigError(
        f"{what} {path} cannot be used: {error.strerror}."
        " Check that it is there and no link, its owner, its permissions and the free space."
    )
