"""Edits of the models file while the server runs: taken over, or refused, and told to the operator.

Knows what an edit means for what is offered; the file is watched by `CatalogueFile`, the models are kept
by `ModelKeeper`.
"""

import logging
from collections.abc import Callable
from typing import Any

from zoran_ray.engines.catalogue_file import CatalogueFile
from zoran_ray.engines.offering import difference
from zoran_ray.models_file import ModelsFile

log = logging.getLogger("zoran.models")

Follow = Callable[[ModelsFile], tuple[str, ...]]


class CatalogueEdits:
    """Follows one models file.

    Args:
        file: The file.
        follow: Offers what it says from now on; gives the models that run otherwise than it says.
        progress: Told stage and detail, for a person who watches.
    """

    def __init__(self, file: CatalogueFile, follow: Follow, progress: Callable[[str, str], None]) -> None:
        self._file = file
        self._follow = follow
        self._progress = progress
        self._offered = file.current.file

    async def run(self) -> None:
        """Follow the file until cancelled."""
        while True:
            try:
                await self._file.watch(self._changed)
            except Exception:
                # It may have been the terminal that progress is shown on; later edits count all the same.
                log.exception("following the models file failed; it is read again with its next change")

    def status(self) -> dict[str, Any]:
        """The file as `zoran status` tells of it; `error` says why it is refused as it is now."""
        error = self._file.error
        return {
            "path": str(self._file.path),
            "version": self._file.version,
            "rejected": self._file.rejected,
            "error": error.message if error else None,
        }

    def _changed(self, file: CatalogueFile) -> None:
        if file.error is not None:
            log.warning("models file refused, what it said before stays: %s", file.error.message)
            return
        before, self._offered = self._offered, file.current.file
        left = self._follow(self._offered)
        told = difference(before, self._offered) or "as before"
        log.info("models file read again: %s", told)
        self._progress("models file", told)
        if left:
            log.warning(
                "models file: these models run, or do not, as before: %s. `zoran models load NAME` brings "
                "one up as the file says now, `zoran models unload NAME` takes one out.",
                ", ".join(left),
            )
