"""`server.json`: which processes belong to the server of a state directory. Knows nothing of the socket.

A process is named by id and start time together, so that an id used again by a stranger is never
taken for ours.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from zoran_ray.errors import ConfigError
from zoran_ray.folders import replace_file

FILE = "server.json"
MAX_BYTES = 1024 * 1024
SAME_START_S = 1.0
"""Start times this near are the same: the kernel counts from boot and the wall clock gets corrected."""


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """One process of the server.

    Attributes:
        pid: Process id.
        create_time: When it began, Unix time in seconds.
        role: What it does: `gcs`, `raylet`, `replica`, …
    """

    pid: int
    create_time: float
    role: str


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """The server of one state directory.

    Attributes:
        pid: The process of `zoran serve`.
        create_time: When that process began, Unix time in seconds.
        url: Where it serves.
        started: When it was ready, Unix time in seconds.
        processes: What it started.
        certificate: File with the certificate by which the address is known; empty: it speaks plain HTTP.
    """

    pid: int
    create_time: float
    url: str
    started: float
    processes: tuple[ProcessRecord, ...] = ()
    certificate: str = ""

    @property
    def server(self) -> ProcessRecord:
        """The process of `zoran serve` itself."""
        return ProcessRecord(self.pid, self.create_time, "serve")


def record_of(pid: int, role: str) -> ProcessRecord | None:
    """The record of a process that runs now; None if there is none."""
    try:
        return ProcessRecord(pid, psutil.Process(pid).create_time(), role)
    except psutil.NoSuchProcess:
        return None


def living(record: ProcessRecord) -> psutil.Process | None:
    """The recorded process if it still runs; None if it ended or its id went to another."""
    try:
        process = psutil.Process(record.pid)
        same = abs(process.create_time() - record.create_time) < SAME_START_S
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def write_record(state_dir: Path, record: ServerRecord) -> None:
    """Write `server.json`, readable by its owner alone, in one step."""
    replace_file(state_dir / FILE, json.dumps(asdict(record)).encode())


def read_record(state_dir: Path) -> ServerRecord | None:
    """What `server.json` says; None if there is none.

    Raises:
        ConfigError: It cannot be read or is not what we write.
    """
    path = state_dir / FILE
    try:
        with path.open("rb") as file:
            return _parsed(json.loads(file.read(MAX_BYTES)))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(
            f"{path}: not a server record ({type(error).__name__}); if no server runs here, delete it."
        ) from None


def remove_record(state_dir: Path) -> None:
    """Forget the server of this state directory."""
    (state_dir / FILE).unlink(missing_ok=True)


def _parsed(data: dict[str, Any]) -> ServerRecord:
    processes = tuple(
        ProcessRecord(int(each["pid"]), float(each["create_time"]), str(each["role"]))
        for each in data["processes"]
    )
    return ServerRecord(
        int(data["pid"]),
        float(data["create_time"]),
        str(data["url"]),
        float(data["started"]),
        processes,
        str(data.get("certificate", "")),
    )
