"""A private folder of traces, bounded in number, size and age. Knows names and bytes, not what they say.

One folder for each tenant, named by a hash, so that no tenant finds or displaces another's. Several
processes may use it at once: whoever comes second finds a file gone, and that is all.
"""

import contextlib
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

TTL_S = 24 * 3600.0
"""How long a trace is kept, in seconds."""
MOST_TRACES = 500
"""Of one tenant; the oldest go first."""
MOST_TENANT_BYTES = 256 * 1024 * 1024
MOST_BYTES = 2 * 1024 * 1024 * 1024
"""Of all tenants together."""
_ID = re.compile(r"trace-[0-9a-f]{32}")
_HALF_WRITTEN_S = 300.0


class TraceFolder:
    """Traces on one disk.

    Args:
        folder: Made with the first trace.
        now: Unix time in seconds.
        ttl_s: How long each is kept, in seconds.
        most: Traces of one tenant.
    """

    def __init__(
        self,
        folder: Path,
        now: Callable[[], float] = time.time,
        *,
        ttl_s: float = TTL_S,
        most: int = MOST_TRACES,
    ) -> None:
        self._folder = folder
        self._now = now
        self._ttl_s = ttl_s
        self._most = most

    def write(self, trace_id: str, tenant: str, data: bytes) -> None:
        """Keeps one. Raises: OSError, ValueError: The name is none."""
        place = self._place(trace_id, tenant)
        if place is None:
            raise ValueError("this is no trace's name")
        for folder in (self._folder, place.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=place.parent, prefix=".new-")  # 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(name).replace(place)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        self._trim(place.parent)

    def read(self, trace_id: str, tenant: str) -> bytes | None:
        """One; None where there is none, or it is too old."""
        place = self._place(trace_id, tenant)
        if place is None:
            return None
        try:
            if place.stat().st_mtime < self._now() - self._ttl_s:
                return None
            return place.read_bytes()
        except FileNotFoundError:
            return None

    def delete(self, trace_id: str, tenant: str) -> bool:
        """Deletes one. Returns: Whether there was one."""
        if self.read(trace_id, tenant) is None:
            return False
        place = self._place(trace_id, tenant)
        assert place is not None
        place.unlink(missing_ok=True)
        return True

    def sweep(self) -> None:
        """Deletes what is too old, what writers left half written, and the oldest where it is too much."""
        kept: list[tuple[float, int, Path]] = []
        for folder in self._tenants():
            for moment, size, path in _files(folder):
                half = path.name.startswith(".")
                if moment < self._now() - (_HALF_WRITTEN_S if half else self._ttl_s):
                    path.unlink(missing_ok=True)
                else:
                    kept.append((moment, size, path))
            with contextlib.suppress(OSError):
                folder.rmdir()  # only where it is empty
        _delete_oldest(kept, len(kept), MOST_BYTES)

    def _trim(self, folder: Path) -> None:
        _delete_oldest(list(_files(folder)), self._most, MOST_TENANT_BYTES)

    def _tenants(self) -> list[Path]:
        return [each for each in self._folder.iterdir() if each.is_dir()] if self._folder.exists() else []

    def _of(self, tenant: str) -> Path:
        return self._folder / hashlib.sha256(tenant.encode()).hexdigest()[:32]

    def _place(self, trace_id: str, tenant: str) -> Path | None:
        return self._of(tenant) / f"{trace_id}.json" if _ID.fullmatch(trace_id) else None


def traces_folder(state_dir: Path) -> Path:
    """Where a node keeps traces; each node has its own."""
    return state_dir / "traces"


def _files(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """When each was written, its size in bytes, and where it is."""
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                found = entry.stat(follow_symlinks=False)
                yield found.st_mtime, found.st_size, Path(entry.path)


def _delete_oldest(files: list[tuple[float, int, Path]], most: int, most_bytes: int) -> None:
    files.sort()
    size = sum(size for _, size, _ in files)
    while files and (len(files) > most or size > most_bytes):
        _, gone, path = files.pop(0)
        path.unlink(missing_ok=True)
        size -= gone
