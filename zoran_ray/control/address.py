"""Where the control socket lies and how to name it however long its path is."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoran_ray.errors import ConfigError

SOCKET = "control.sock"
MAX_PATH_BYTES = 103
"""What every system takes; Linux takes 107. Source: `sun_path` in unix(7)."""


@contextmanager
def short_path(state_dir: Path) -> Iterator[str]:
    """A name of the socket that is short enough to bind or connect to, while the block runs.

    Raises:
        ConfigError: The path is too long and this system has no way around it.
    """
    path = str(state_dir / SOCKET)
    if len(os.fsencode(path)) <= MAX_PATH_BYTES:
        yield path
        return
    folder = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        alias = f"/proc/self/fd/{folder}"
        if not Path(alias).exists():
            raise ConfigError(
                f"{state_dir}: too long for a socket; choose a shorter --state-dir.", param="state_dir"
            )
        yield f"{alias}/{SOCKET}"
    finally:
        os.close(folder)


def connected(state_dir: Path, timeout_s: float) -> socket.socket:
    """A connection to the control socket of `state_dir`.

    Args:
        state_dir: The server's state directory.
        timeout_s: Longest wait, in seconds; stays set on the socket.

    Raises:
        OSError: Nobody listens, or not for us.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        with short_path(state_dir) as path:
            connection.connect(path)
    except BaseException:
        connection.close()
        raise
    return connection
