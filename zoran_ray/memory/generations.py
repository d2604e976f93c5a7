"""Snapshot and log of a shard on disk, as one generation after another.

A generation is `snapshot-N` (everything up to its beginning) and `log-N` (everything since). The snapshot's
name is what makes a generation: it is given last, when all is on the disk, and the one before it is removed
after that. So whatever moment the machine stops, exactly one generation counts, and what an old one still
held of forgotten records goes when the shard is opened next. Knows frames and names, not what is written.
"""

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from zoran_ray.errors import ConfigError, StateDamaged, Unavailable
from zoran_ray.memory.disk import Disk, write_refused
from zoran_ray.memory.frames import HEADER_BYTES, damaged, examine, frame, new_header, payloads, salvage
from zoran_ray.memory.wal import WriteAheadLog

_NAME = re.compile(r"(snapshot|log)-(\d{8})(\.part)?")
_END = b"end:"

MakeLog = Callable[[Path], WriteAheadLog]


@dataclass(frozen=True, slots=True)
class Generation:
    """Where one generation lies."""

    folder: Path
    number: int

    @property
    def snapshot(self) -> Path:
        return self.folder / f"snapshot-{self.number:08d}"

    @property
    def part(self) -> Path:
        """The snapshot while it is being written."""
        return self.folder / f"snapshot-{self.number:08d}.part"

    @property
    def log(self) -> Path:
        return self.folder / f"log-{self.number:08d}"

    @property
    def next(self) -> "Generation":
        return Generation(self.folder, self.number + 1)


def latest(folder: Path) -> Generation | None:
    """The generation that counts, None where there is none yet. Raises: StateDamaged: Logs without one."""
    found = [match for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]
    numbers = [int(match[2]) for match in found if match[1] == "snapshot" and not match[3]]
    logs = [match for match in found if match[1] == "log"]
    # A first log without any write may be from a first opening that was interrupted.
    if not numbers and any(int(m[2]) > 1 or (folder / m[0]).stat().st_size > HEADER_BYTES for m in logs):
        raise StateDamaged(f"{folder} has a log and no snapshot. Restore the folder from a replica.")
    return Generation(folder, max(numbers)) if numbers else None


def clear(keep: Generation, disk: Disk) -> None:
    """Removes every file of other generations. Raises: OSError."""
    wanted = {keep.snapshot.name, keep.log.name}
    stale = [p for p in keep.folder.iterdir() if _NAME.fullmatch(p.name) and p.name not in wanted]
    for path in stale:
        disk.remove(path)
    if stale:
        disk.sync_names(keep.folder)


def begin(new: Generation, content: Iterable[bytes], make_log: MakeLog, disk: Disk) -> WriteAheadLog:
    """Writes a new generation and makes it the one that counts.

    Returns:
        Its empty log; it is `broken` where the new name may not be on the disk.

    Raises:
        StorageFull, Unavailable: Nothing has changed.
    """
    log = None
    try:
        _write(new.part, content, disk)
        log = make_log(new.log)
        disk.rename(new.part, new.snapshot)
    except (OSError, Unavailable) as error:
        if not new.snapshot.exists() or log is None:
            _abandon(new, log, disk)
            raise error if isinstance(error, Unavailable) else write_refused(error, new.snapshot) from error
    try:
        disk.sync_names(new.folder)
        clear(new, disk)
    except OSError:
        log.broken = True
    return log


def read(generation: Generation, *, damaged_too: bool = False) -> Iterator[bytes]:
    """What the snapshot holds.

    Args:
        generation: Whose.
        damaged_too: Give what can be read of a damaged one.

    Raises:
        StateDamaged: It is not whole.
        ConfigError: It cannot be read.
    """
    path = generation.snapshot
    try:
        if damaged_too:
            yield from (payload for payload in salvage(path) if not payload.startswith(_END))
            return
        found = examine(path)
        if found.salt is None or found.cut_bytes or not found.frames:
            raise damaged(path, f"what follows byte {found.end} fails its checksum")
        for number, payload in enumerate(payloads(path), start=1):
            if number < found.frames:
                yield payload
            elif payload != _END + str(found.frames - 1).encode():
                raise damaged(path, "its end is missing")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}. Check the disk.") from error


def _write(path: Path, content: Iterable[bytes], disk: Disk) -> None:
    header, salt = new_header()
    file = disk.open(path)
    try:
        file.truncate(0)
        file.write(header)
        count = 0
        for payload in content:
            file.write(frame(salt, count, payload))
            count += 1
        file.write(frame(salt, count, _END + str(count).encode()))
        file.sync()
    finally:
        file.close()


def _abandon(new: Generation, log: WriteAheadLog | None, disk: Disk) -> None:
    with contextlib.suppress(OSError, Unavailable):
        if log is not None:
            log.close()
    for path in (new.part, new.log):
        with contextlib.suppress(OSError):
            disk.remove(path)
