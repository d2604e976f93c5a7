"""The catalogue of a file that is edited while the server runs. Knows no field of it."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from zoran_ray.engines.catalogue import Catalogue, read_catalogue
from zoran_ray.errors import ConfigError

LOOK_EVERY_S = 1.0
RACY_S = 2.0
"""A file changed this recently is read again: its clock may be too coarse to show the next change.
Source: Git's "racily clean" index entries, Documentation/technical/racy-git.txt."""

Stamp = tuple[int, int, int, int]


class CatalogueFile:
    """The last good catalogue of a file. An edit is taken over whole or not at all.

    Args:
        path: The models file. Raises at once what `read_catalogue` raises.
        home: What `~` stands for.
        clock: Unix time in seconds.

    Attributes:
        current: The catalogue to use now.
        version: Grows with every catalogue taken over, from 1.
        rejected: How many edits were refused.
        error: Why the file as it is now was refused, None if it was not.
    """

    def __init__(self, path: Path, home: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._home = home
        self._clock = clock
        self._stamp = self._look()
        self.current: Catalogue = read_catalogue(path, home)
        self.version = 1
        self.rejected = 0
        self.error: ConfigError | None = None

    def refresh(self) -> bool:
        """Looks at the file and takes over what has changed in it.

        Returns:
            Whether `current` or `error` is another than before.
        """
        stamp = self._look()
        if stamp is not None and stamp == self._stamp:
            return False
        # Taken before reading: a change while it is read shows at the next look.
        self._stamp = stamp
        try:
            found = read_catalogue(self.path, self._home)
        except ConfigError as error:
            return self._reject(error)
        news = self.error is not None
        self.error = None
        if found.file != self.current.file:
            self.current = found
            self.version += 1
            news = True
        return news

    async def watch(
        self, changed: Callable[["CatalogueFile"], None], every_s: float = LOOK_EVERY_S
    ) -> None:
        """Refreshes until cancelled; `changed` is told of every new catalogue and every new error."""
        while True:
            await asyncio.sleep(every_s)
            if await asyncio.to_thread(self.refresh):
                changed(self)

    def _reject(self, error: ConfigError) -> bool:
        if self.error is not None and self.error.message == error.message:
            return False
        self.error = error
        self.rejected += 1
        return True

    def _look(self) -> Stamp | None:
        """What tells this state of the file from another; None if that cannot be told, so it is read."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        if abs(self._clock() - found.st_mtime) < RACY_S:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
