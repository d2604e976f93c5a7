"""A private folder of traces, bounded in number, size and age. Knows names and bytes, not what they say.

One folder for each tenant, named by a hash, so that no tenant finds or displaces another's. A file's name
holds hashes of those it is about. When one of them is forgotten a mark stays behind for as long as a trace
is kept: a request that began before and ends after leaves none. Several processes may use the folder at
once: whoever comes second finds a file gone, and that is all.
"""

import contextlib
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from actors.forgotten import Forgettings, Forgotten

TTL_S = 24 * 3600.0
"""How long a trace is kept, in seconds."""
MOST_TRACES = 500
"""Of one tenant; the oldest go first."""
MOST_TENANT_BYTES = 256 * 1024 * 1024
MOST_BYTES = 2 * 1024 * 1024 * 1024
"""Of all tenants together."""
MOST_HEAD_BYTES = 16 * 1024
_ID = re.compile(r"trace-[0-9a-f]{32}")
_TENANT, _SUBJECT = re.compile(r"[0-9a-f]{32}"), re.compile(r"(?:[0-9a-f]{24})?")
_MARK = ".forgot-"
_ALL = "all"
_FOLLOWED = ".followed"
_HALF = ".new-"
_HALF_WRITTEN_S = 300.0


@dataclass(frozen=True, slots=True)
class Listed:
    """A trace without what it says.

    Attributes:
        at: When it was written, in Unix seconds.
    """

    id: str
    at: float
    size_bytes: int
    path: Path

    def beginning(self) -> bytes:
        """Its first bytes; none where it is gone."""
        try:
            with self.path.open("rb") as file:
                return file.read(MOST_HEAD_BYTES)
        except FileNotFoundError:
            return b""


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

    def write(
        self,
        trace_id: str,
        tenant: str,
        data: bytes,
        *,
        subjects: Sequence[str] = (),
        began: float | None = None,
    ) -> bool:
        """Keeps one.

        Args:
            trace_id: `trace-` and 32 hex digits.
            tenant: Whose it is.
            data: What it says.
            subjects: Whom it is about.
            began: When its request began, in Unix seconds; unset: now.

        Returns:
            Whether it is kept: not where the tenant or a subject was forgotten since it began.

        Raises:
            OSError, ValueError: The name is none.
        """
        if not _ID.fullmatch(trace_id):
            raise ValueError("this is no trace's name")
        began = self._now() if began is None else began
        about = [_hashed(subject) for subject in subjects]
        place = self._made(_tenant(tenant)) / ".".join([trace_id, *about, "json"])
        _put(place, data)
        # After the file is there: whoever forgets leaves the mark first and then looks for files.
        if any(self._forgot(place.parent, name) >= began for name in (_ALL, *about)):
            place.unlink(missing_ok=True)
            return False
        self._trim(place.parent)
        return True

    def read(self, trace_id: str, tenant: str) -> bytes | None:
        """One; None where there is none, or it is too old."""
        place = self._find(trace_id, tenant)
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
        place = self._find(trace_id, tenant)
        if place is None:
            return False
        place.unlink(missing_ok=True)
        return True

    def forget(self, who: Forgotten) -> int:
        """Deletes all of a tenant, or all that are about a subject. Returns: How many. Raises: OSError."""
        folder = self._made(who.tenant)
        mark = folder / f"{_MARK}{who.subject or _ALL}"
        mark.touch(mode=0o600)
        os.utime(mark, (self._now(), self._now()))
        gone = [
            path for _, _, path in _files(folder) if not who.subject or who.subject in path.name.split(".")
        ]
        for path in gone:
            path.unlink(missing_ok=True)
        return len(gone)

    def followed(self) -> tuple[str, int]:
        """How far the list of whom all nodes are to forget was followed here: its epoch and version."""
        try:
            epoch, version = (self._folder / _FOLLOWED).read_text().split()
            return epoch, int(version)
        except (FileNotFoundError, ValueError):
            return "", 0

    def follow(self, news: Forgettings) -> None:
        """Forgets whoever is new on that list, as of now: clocks of nodes differ. Raises: OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for who in news.entries:
            if _TENANT.fullmatch(who.tenant) and _SUBJECT.fullmatch(who.subject):
                self.forget(who)
        _put(self._folder / _FOLLOWED, f"{news.epoch} {news.version}".encode())

    def page(self, tenant: str, limit: int, after: str | None) -> tuple[list[Listed], bool] | None:
        """Those of a tenant, newest first.

        Args:
            tenant: Whose.
            limit: Most of them.
            after: The one before the first of these.

        Returns:
            They, and whether there are more; None where `after` is none of them.
        """
        folder, oldest = self._of(tenant), self._now() - self._ttl_s
        files = sorted(_files(folder), reverse=True) if folder.is_dir() else []
        found = [
            Listed(path.name.split(".")[0], at, size, path) for at, size, path in files if at >= oldest
        ]
        start = 0
        if after is not None:
            start = next((place for place, each in enumerate(found, 1) if each.id == after), 0)
            if not start:
                return None
        return found[start : start + limit], len(found) > start + limit

    def sweep(self) -> None:
        """Deletes what is too old, what writers left half written, and the oldest where it is too much."""
        kept: list[tuple[float, int, Path]] = []
        for folder in self._tenants():
            for moment, size, path in _files(folder, hidden=True):
                half = path.name.startswith(_HALF)
                if moment < self._now() - (_HALF_WRITTEN_S if half else self._ttl_s):
                    path.unlink(missing_ok=True)
                elif not path.name.startswith("."):
                    kept.append((moment, size, path))
            with contextlib.suppress(OSError):
                folder.rmdir()  # only where it is empty
        _delete_oldest(kept, len(kept), MOST_BYTES)

    def _trim(self, folder: Path) -> None:
        _delete_oldest(list(_files(folder)), self._most, MOST_TENANT_BYTES)

    def _tenants(self) -> list[Path]:
        return [each for each in self._folder.iterdir() if each.is_dir()] if self._folder.exists() else []

    def _of(self, tenant: str) -> Path:
        return self._folder / _tenant(tenant)

    def _made(self, name: str) -> Path:
        """The folder of a tenant, given its hash, which is there then."""
        for folder in (self._folder, self._folder / name):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def _find(self, trace_id: str, tenant: str) -> Path | None:
        folder = self._of(tenant)
        if not _ID.fullmatch(trace_id) or not folder.is_dir():
            return None
        return next((path for _, _, path in _files(folder) if path.name.startswith(f"{trace_id}.")), None)

    def _forgot(self, folder: Path, name: str) -> float:
        """When somebody was forgotten, in Unix seconds; 0 for never."""
        try:
            return (folder / f"{_MARK}{name}").stat().st_mtime
        except FileNotFoundError:
            return 0.0


def forgotten(tenant: str, subject: str | None) -> Forgotten:
    """As whom a tenant, or a subject of it, is forgotten."""
    return Forgotten(_tenant(tenant), "" if subject is None else _hashed(subject))


def traces_folder(state_dir: Path) -> Path:
    """Where a node keeps traces; each node has its own."""
    return state_dir / "traces"


def _put(place: Path, data: bytes) -> None:
    """Writes a file, all of it or nothing."""
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=_HALF)  # 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).replace(place)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _tenant(tenant: str) -> str:
    return hashlib.sha256(tenant.encode()).hexdigest()[:32]


def _hashed(subject: str) -> str:
    return hashlib.sha256(subject.encode()).hexdigest()[:24]


def _files(folder: Path, *, hidden: bool = False) -> Iterator[tuple[float, int, Path]]:
    """When each was written, its size in bytes, and where it is; marks and halves only where `hidden`."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") and not hidden:
                continue
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
