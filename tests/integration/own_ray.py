"""What the `*_drive.py` scripts share: a small Ray of their own, whose processes they find and kill."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray

from actors.names import NAMESPACE

_NAME, _VALUE = "ZORAN_TEST_MARK", str(os.getpid())


def mark() -> None:
    """Put a mark into the environment of all that is started from here on.

    Other servers on this machine have actors of the same names.
    """
    os.environ[_NAME] = _VALUE


@contextmanager
def own_ray() -> Iterator[Path]:
    """A marked Ray, and a state directory for what runs in it; both are gone afterwards."""
    mark()
    with tempfile.TemporaryDirectory(prefix="z", dir="/tmp") as folder:  # short: sockets are in it
        state_dir = Path(folder) / "state"
        state_dir.mkdir(mode=0o700)
        ray.init(
            num_cpus=4,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            namespace=NAMESPACE,
            object_store_memory=80 * 1024 * 1024,
        )
        try:
            yield state_dir
        finally:
            ray.shutdown()


def processes_of(actor: str) -> list[int]:
    """Ids of the marked processes of an actor class, off the process table: Ray names workers after it."""
    return sorted(int(entry.name) for entry in Path("/proc").iterdir() if _is_of(entry, actor))


def last_line(seen: dict[str, Any]) -> None:
    """What `driven` reads: behind all that Ray has to say."""
    sys.stdout.write(json.dumps(seen) + "\n")


def _is_of(entry: Path, actor: str) -> bool:
    if not entry.name.isdigit():
        return False
    try:
        command = (entry / "cmdline").read_bytes()
        environment = (entry / "environ").read_bytes()
    except OSError:
        return False
    return command.startswith(f"ray::{actor}".encode()) and f"{_NAME}={_VALUE}".encode() in environment
