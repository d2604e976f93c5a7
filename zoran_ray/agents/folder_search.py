"""Searches the index of one folder, opened for each question: others can index it between. No model."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from zoran_ray.errors import AlreadyRunning, ConfigError, Unavailable
from zoran_ray.memory.embedder import Embedder, EmbedderId
from zoran_ray.rag import Folder, Index, Passage, exists

_WAIT_S = 5.0
_PAUSE_S = 0.1


class FolderSearch:
    """See `zoran_ray.rag.Search`.

    Args:
        place: Where the index is.
        root: The folder it is of.
        choose: Gives the embedder that made it. Raises: ZoranError: It is not to be had here.
    """

    def __init__(self, place: Path, root: Path, choose: Callable[[EmbedderId | None], Embedder]) -> None:
        self._place = place
        self._root = root
        self._choose = choose
        self._one = asyncio.Lock()

    async def __call__(self, question: str, limit: int) -> list[Passage]:
        """Raises: ConfigError: There is no index. Unavailable: It is being made."""
        async with self._one:
            work = asyncio.ensure_future(asyncio.to_thread(self._found, question, limit))
            try:
                return await asyncio.shield(work)
            except asyncio.CancelledError:
                # The thread goes on, and the next one must not enter before.
                await asyncio.wait({work})
                raise

    def _found(self, question: str, limit: int) -> list[Passage]:
        if not exists(self._place):
            raise ConfigError(f"{self._root} has no index yet. Make one: zoran rag index {self._root}")
        index = self._opened()
        try:
            found = index.search(question, limit)
            folder = Folder(self._root)
            return [each for each in found if _is_current(each.path, folder, index)]
        finally:
            index.close()

    def _opened(self) -> Index:
        ends = time.monotonic() + _WAIT_S
        while True:
            try:
                return Index(self._place, self._choose)
            except AlreadyRunning:
                if time.monotonic() >= ends:
                    raise Unavailable(
                        "The files are being indexed; try again shortly.", retry_after_s=_WAIT_S
                    ) from None
            time.sleep(_PAUSE_S)


def _is_current(path: str, folder: Folder, index: Index) -> bool:
    """What changed since it was indexed is not shown: its lines may be others by now."""
    now = folder.read(path)
    return now is not None and now.digest == index.digest(path)
