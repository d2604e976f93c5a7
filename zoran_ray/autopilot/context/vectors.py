"""Which files are nearest in meaning to what was said, by an embedder that may fail, hang or be far away.

Whatever leaves here is text that the policy lets a model read, without secrets. Knows no ranking.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from threading import Event
from typing import TypeVar

import numpy as np

from zoran_ray.autopilot.context.pieces import pieces
from zoran_ray.autopilot.context.texts import Texts
from zoran_ray.batch.threads import in_own_thread
from zoran_ray.errors import UpstreamError
from zoran_ray.memory.record import Vector

log = logging.getLogger("zoran.autopilot")

Embed = Callable[[Sequence[str]], Vector]
"""Texts, none of them empty, to float32[len(texts), d]. It blocks."""

LONGEST_S = 30.0
"""For the vectors of a repository, in seconds; later ones are not waited for."""
MOST_SAID_CHARS = 2_000
"""Of what was said: its beginning and its end, one half each."""
AT_ONCE = 64
"""Texts that an embedder is given at once."""

T = TypeVar("T")


class FileVectors:
    """The vectors of a repository's files: those of their pieces, made when they are first asked for.

    Args:
        embed: Makes them. After its first failure it is not asked again.
        texts: The files.
        longest_s: Longest wait for it, in seconds.
    """

    def __init__(self, embed: Embed, texts: Texts, longest_s: float = LONGEST_S) -> None:
        self._embed = embed
        self._texts = texts
        self._longest_s = longest_s
        self._failed = False
        self._of: list[str] = []
        self._rows: Vector | None = None
        self._said: tuple[str, Vector] | None = None

    def cosines(self, said: str, paths: Sequence[str]) -> Mapping[str, float]:
        """How near files are to what was said: the best piece counts. Empty where there are no vectors.

        Args:
            said: Anything, with secrets or without.
            paths: All files, the most important first: not all pieces of many files have room.
        """
        if self._failed or not said.strip() or not paths:
            return {}
        try:
            return _in_time(lambda late: self._cosines(said, paths, late), self._longest_s)
        except Exception as error:
            # Its text may hold what the repository says.
            log.warning("a repository is searched by words alone: %s", type(error).__name__)
            self._failed = True
            return {}

    def _cosines(self, said: str, paths: Sequence[str], late: Event) -> Mapping[str, float]:
        if self._rows is None:
            self._read(said, paths, late)
        if self._said is None or self._said[0] != said:
            self._said = said, self._vectors([_ends(self._texts.engine.redact(said))], late)[0]
        assert self._rows is not None
        found = dict[str, float]()
        for path, cosine in zip(self._of, (self._rows @ self._said[1]).tolist(), strict=True):
            found[path] = max(cosine, found.get(path, -1.0))
        return found

    def _read(self, said: str, paths: Sequence[str], late: Event) -> None:
        cut = pieces(paths, self._texts.shown, said)
        redact = self._texts.engine.redact
        rows = self._vectors([f"{redact(each.path)}\n{each.text}" for each in cut], late)
        self._of, self._rows = [each.path for each in cut], rows

    def _vectors(self, texts: Sequence[str], late: Event) -> Vector:
        """float32[len(texts), d], each of length 1. Raises: UpstreamError: They are none."""
        rows = list[Vector]()
        for first in range(0, len(texts), AT_ONCE):
            if late.is_set():
                raise TimeoutError
            some = texts[first : first + AT_ONCE]
            rows.append(np.asarray(self._embed(some), np.float32).reshape(len(some), -1))
        whole = np.concatenate(rows)
        lengths = np.linalg.norm(whole.astype(np.float64), axis=1, keepdims=True)
        if not np.isfinite(lengths).all() or not lengths.all():
            raise UpstreamError("The embedder gave vectors without a direction; look at its log.")
        unit: Vector = (whole / lengths).astype(np.float32)
        return unit


def _ends(text: str) -> str:
    half = MOST_SAID_CHARS // 2
    return text if len(text) <= 2 * half else f"{text[:half]}\n{text[-half:]}"


def _in_time(work: Callable[[Event], T], longest_s: float) -> T:
    """What some work comes to; it is told when nobody waits for it any more. Raises: TimeoutError."""
    late = Event()
    try:
        return in_own_thread(lambda: work(late), "file-vectors").result(longest_s)
    finally:
        late.set()
