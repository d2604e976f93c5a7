"""Making the vectors of running shards anew: begun by one call, watched by others, and joined over shards.

Whoever asks may leave: the shards go on, and the same question again tells how far they are. A shard that
was lost in the middle has its old vectors, and begins again. Knows neither Ray nor HTTP.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from zoran_ray.errors import Unavailable, ZoranError, plain
from zoran_ray.memory.embedder import Embedder, EmbedderId
from zoran_ray.memory.links import Link, ShardLost
from zoran_ray.memory.reindex import Reindexed

log = logging.getLogger("zoran.memory")

POLL_S = 0.5
LOST_S = 60.0
"""How long a shard may be away before it is given up, in seconds."""


@dataclass(frozen=True, slots=True)
class ReindexState:
    """How far one shard is.

    Attributes:
        at: `idle` where nothing was begun since the shard was started.
        done: Records whose vectors are made.
        total: Records there are; 0 while that is not known.
        skipped: There was nothing to do.
        error: Why it failed.
    """

    at: Literal["idle", "running", "done", "failed"] = "idle"
    done: int = 0
    total: int = 0
    skipped: bool = False
    error: ZoranError | None = None


class ReindexJob:
    """The reindex of one shard, one at a time.

    Args:
        run: Does it: `Replica.reindex`.
        embedder: Whose vectors the shard has now.

    Attributes:
        state: How far it is.
    """

    def __init__(
        self,
        run: Callable[[Embedder, Callable[[int, int], None]], Awaitable[None]],
        embedder: Callable[[], EmbedderId],
    ) -> None:
        self._run = run
        self._embedder = embedder
        self._task: asyncio.Task[None] | None = None
        self.state = ReindexState()

    def begin(self, embedder: Embedder, again: bool) -> None:
        """Begins it, unless it runs already.

        Args:
            embedder: Makes the vectors; called in a thread.
            again: Also where the vectors are this embedder's already.
        """
        if self.state.at == "running":
            return
        if EmbedderId.of(embedder) == self._embedder() and not again:
            self.state = ReindexState("done", skipped=True)
            return
        self.state = ReindexState("running")
        self._task = asyncio.create_task(self._do(embedder))

    async def _do(self, embedder: Embedder) -> None:
        try:
            await self._run(embedder, self._note)
        except ZoranError as error:
            self.state = replace(self.state, at="failed", error=plain(error))
        except Exception as bug:
            # The message may have a text in it.
            log.error("a reindex failed: unexpected %s", type(bug).__name__)
            failure = ZoranError(f"The shard failed with an unexpected {type(bug).__name__}.")
            self.state = replace(self.state, at="failed", error=failure)
        else:
            self.state = replace(self.state, at="done")

    def _note(self, done: int, total: int) -> None:
        self.state = ReindexState("running", done, total)


async def reindex_shards(
    shards: Sequence[str],
    link: Callable[[str], Link],
    embedder: Embedder,
    told: Callable[[int, int], None],
    *,
    again: bool = False,
    poll_s: float = POLL_S,
    lost_s: float = LOST_S,
) -> Reindexed:
    """Has all shards make their vectors anew, at the same time, and waits for them.

    Args:
        shards: Their names.
        link: Gives the way to one; it answers `reindex_begin(embedder, again)` and `reindex_state()`.
        embedder: Makes the vectors; goes to the shards' processes.
        told: How many of how many records are done, whenever that changes.
        again: Also where the vectors are this embedder's already.
        poll_s: Time between two looks at them, in seconds.
        lost_s: How long one may be away, in seconds.

    Raises:
        Unavailable: A shard does not answer; the others go on.
        ZoranError: A shard failed and has its old vectors; the others go on.
    """
    watched = [_Watched(link(shard), shard, embedder, again, lost_s) for shard in shards]
    before = None
    while True:
        states = await asyncio.gather(*(each.look() for each in watched))
        for state in states:
            if state.error is not None:
                raise state.error
        if (now := (sum(s.done for s in states), sum(s.total for s in states))) != before:
            told(*now)
            before = now
        if all(state.at == "done" for state in states):
            skipped = sum(state.skipped for state in states)
            return Reindexed(len(states) - skipped, skipped, now[0])
        await asyncio.sleep(poll_s)


class _Watched:
    """One shard as whoever waits for it sees it."""

    def __init__(self, link: Link, name: str, embedder: Embedder, again: bool, lost_s: float) -> None:
        self._link = link
        self._name = name
        self._embedder = embedder
        self._again = again
        self._lost_s = lost_s
        self._begun = False
        self._lost_since: float | None = None
        self._last = ReindexState()

    async def look(self) -> ReindexState:
        """How far it is; begins it where it has not begun, or not since the shard came back."""
        now = asyncio.get_running_loop().time()
        try:
            if not self._begun:
                await self._link.ask("reindex_begin", self._embedder, self._again)
                self._begun = True
            self._last = await self._link.ask("reindex_state")
            self._begun = self._last.at != "idle"
            self._lost_since = None
        except ShardLost:
            self._lost_since = now if self._lost_since is None else self._lost_since
            if now - self._lost_since >= self._lost_s:
                raise Unavailable(
                    f"The shard {self._name} of the memory does not answer. Look at `zoran status`, then"
                    " run this again.",
                    retry_after_s=self._lost_s,
                ) from None
        return self._last
