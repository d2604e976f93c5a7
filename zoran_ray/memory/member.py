"""One shard's life among others: who is up, who has to be told what, and whether it may answer.

Every write goes to the peers that hold the same keys. One that was away is told what it missed, and a shard
that starts waits until the others have told it: what was forgotten meanwhile does not come back. One that
reaches fewer than half of all waits too, for the others may go on without it. Knows neither Ray nor HTTP;
`links` reach the others.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from zoran_ray.errors import ShardBehind, ZoranError
from zoran_ray.memory.jobs import Jobs
from zoran_ray.memory.links import Link, ShardLost
from zoran_ray.memory.ops import Batch, Give, Put
from zoran_ray.memory.peers import Peer
from zoran_ray.memory.placement import Layout
from zoran_ray.memory.replicated import ReplicatedShard

log = logging.getLogger("zoran.memory")

PING_S = 1.0
RETRY_S = 0.2
_GREET_S = 2.0

T = TypeVar("T")


class Member:
    """One shard of a layout, as its peers know it.

    Args:
        name: Its name in the layout.
        shard: What it holds. It is closed by `stop`.
        layout: All shards.
        link: Gives the way to a shard.
        sync: Wait for the disk before anything is acknowledged; many writes together.
    """

    def __init__(
        self,
        name: str,
        shard: ReplicatedShard,
        layout: Layout,
        link: Callable[[str], Link],
        *,
        sync: bool = True,
    ) -> None:
        self.name = name
        self.life = secrets.token_hex(8)
        self._shard = shard
        self._layout = layout
        self._sync = sync
        self._link_to = link
        self._jobs = Jobs(self._settle)
        self._known: dict[str, tuple[str, int]] = {}
        nodes = {place.shard: place.node for place in layout.places}
        others = [s for s in layout.shards if layout.copies > 1 and nodes[s] != nodes[name]]
        self._peers = {
            other: Peer(link(other), (name, self.life), partial(self._has, other)) for other in others
        }
        self._unsure = set(others)
        self._silent: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []
        shard.keep_marks_of(others)

    async def start(self) -> None:
        """Begins to catch up. Without peers there is nothing to wait for."""
        if not self._peers:
            await self._jobs.run(self._shard.become_complete)
        self._tasks = [asyncio.create_task(self._keep_up(name)) for name in self._peers]

    async def stop(self) -> None:
        """Ends, everything on disk."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._jobs.close(self._shard.close)

    async def hello(
        self, sender: str, life: str, folder: str, behind: bool, told: str = ""
    ) -> tuple[str, str]:
        """A peer is there, and is going to tell what may have been missed.

        Args:
            behind: It wrote without us: we cannot answer until it has told.
            told: The life of ours that it has told every write. If that is this one, nothing was missed.

        Returns:
            Our life and the id of our folder.
        """
        peer = self._peer(sender)
        if peer.life != life:
            peer.lose()
            peer.life, peer.folder = life, folder
        if behind:
            self._unsure.add(sender)
        elif told == self.life:
            await self._be_sure_of(sender)
        return self.life, self._shard.folder_id

    async def follow(self, sender: str, life: str, batches: Sequence[bytes]) -> None:
        """What may have been missed here."""
        self._check(sender, life)
        await self._jobs.run(lambda: self._shard.follow(sender, batches))

    async def replicate(self, sender: str, life: str, batches: Sequence[bytes]) -> None:
        """What a peer wrote, in its order."""
        self._check(sender, life)
        try:
            await self._jobs.run(lambda: self._shard.replicate(sender, batches))
        except ZoranError:
            self._unsure.add(sender)
            raise

    async def joined(self, sender: str, life: str) -> None:
        """A peer has told everything, and from now on every write."""
        self._check(sender, life)
        await self._be_sure_of(sender)

    async def go_without(self, name: str) -> None:
        """A shard is lost for good: what only it knew, forgettings too, is not waited for any more."""
        self._unsure.discard(name)

    async def hand_over(self, layout: Layout) -> None:
        """Tells the shards that are to hold keys in another layout, and do not yet, all about them.

        Of several holders the first one does. Nothing is written meanwhile.
        """
        for other in layout.shards:
            if other != self.name:
                await self._hand_to(other, partial(self._goes, layout, other))

    async def _hand_to(self, other: str, goes: Callable[[str, str], bool]) -> None:
        messages, link = self._shard.telling_all(goes), self._link_to(other)
        while message := await self._jobs.run(lambda: next(messages, None)):
            await link.ask("take", message, timeout_s=60.0)

    async def take(self, batches: Sequence[bytes]) -> None:
        """Keys that this shard is to hold in another layout."""
        await self._jobs.run(lambda: self._shard.follow("", batches))

    def _spread(
        self, written: tuple[T, list[tuple[bytes, Batch]], int]
    ) -> tuple[T, list[asyncio.Future[None]]]:
        """Puts writes on their way to the peers that hold their keys."""
        result, batches, number = written
        if not self._peers:
            return result, []
        return result, [
            self._peers[name].send(data, number) for data, batch in batches for name in self._holding(batch)
        ]

    def _holding(self, batch: Batch) -> Sequence[str]:
        for op in batch.ops:
            if isinstance(op, Put | Give):
                about = op.record if isinstance(op, Put) else op.consent
                holders = self._layout.holders(about.tenant, about.subject)
                return [name for name in holders if name in self._peers]
        return list(self._peers)  # what is only removed does no harm where it is not

    @property
    def _up(self) -> frozenset[str]:
        return frozenset((self.name, *(name for name, peer in self._peers.items() if peer.up)))

    def _check_sure(self, unsure: set[str]) -> None:
        if unsure:
            raise ShardBehind(
                f"{self.name} of the memory waits for {', '.join(sorted(unsure))} to tell what it missed.",
                retry_after_s=1.0,
            )

    def _check(self, sender: str, life: str) -> None:
        if self._peer(sender).life != life:
            raise ShardBehind(f"{self.name} has to be greeted first.", retry_after_s=RETRY_S)

    def _peer(self, name: str) -> Peer:
        if name not in self._peers:
            raise ShardBehind(f"{self.name} knows no peer of this name.", retry_after_s=1.0)
        return self._peers[name]

    def _has(self, name: str, number: int) -> None:
        """A peer has a write; the thread writes it down with the next one."""
        self._known[name] = self._peers[name].folder, number

    def _settle(self) -> None:
        """In the thread, after some jobs: their writes to disk, and who knows which."""
        known, self._known = self._known, {}
        for name, (folder, number) in known.items():
            self._shard.settle(name, folder, number)
        if self._sync:
            try:
                self._shard.sync()
            except ZoranError:
                for peer in self._peers.values():
                    peer.up = False  # it is told again what it may have missed
                raise

    async def _be_sure_of(self, name: str) -> None:
        self._unsure.discard(name)
        if not self._unsure and not self._shard.complete:
            await self._jobs.run(self._become_complete)

    def _miss(self, name: str) -> None:
        """A peer gives no answer. Who reaches fewer than half of all is the one that is cut off."""
        self._silent.add(name)
        members = len(self._peers) + 1
        if 2 * (members - len(self._silent)) < members:
            self._unsure |= self._silent

    async def _keep_up(self, name: str) -> None:
        """Holds a peer up, or brings it up again; runs until cancelled."""
        peer = self._peers[name]
        while True:
            try:
                await (self._ping(name, peer) if peer.up else self._join(name, peer))
            except ShardLost:
                peer.lose()
                self._miss(name)
            except ZoranError:
                peer.lose()
            except Exception as bug:
                peer.lose()
                log.error("a shard cannot follow %s: %s", name, type(bug).__name__)
            await asyncio.sleep(PING_S if peer.up else RETRY_S)

    async def _ping(self, name: str, peer: Peer) -> None:
        life, _ = await self._greet(name, peer, told=peer.life)
        if life != peer.life:
            peer.lose()
            return
        # Behind all writes so far: where nothing is on its way, the peer has them.
        number = await self._jobs.run(lambda: self._shard.number, lambda n: n if peer.idle else None)
        if number is not None and peer.up:
            self._has(name, number)

    async def _join(self, name: str, peer: Peer) -> None:
        """Tells a peer what it missed, then that it knows everything."""
        behind = await self._jobs.run(lambda: self._may_owe(name, peer))
        peer.life, peer.folder = await self._greet(name, peer, behind=behind)
        number, messages = await self._jobs.run(
            lambda: (self._shard.number, self._shard.telling(name, peer.folder, self._layout.holders))
        )
        while message := await self._jobs.run(lambda: next(messages, None)):
            await peer.link.ask("follow", self.name, self.life, message)

        def finish() -> bool:
            self._shard.settle(name, peer.folder, number)
            return not self._shard.owes(name, self._layout.holders)

        # On the loop behind what was written before, and before what is written after.
        if await self._jobs.run(finish, lambda knows: self._mark_up(peer, knows)):
            await peer.link.ask("joined", self.name, self.life)

    def _mark_up(self, peer: Peer, knows: bool) -> bool:
        peer.up = knows
        return knows

    async def _greet(
        self, name: str, peer: Peer, *, behind: bool = False, told: str = ""
    ) -> tuple[str, str]:
        answer: tuple[str, str] = await peer.link.ask(
            "hello", self.name, self.life, self._shard.folder_id, behind, told, timeout_s=_GREET_S
        )
        self._silent.discard(name)
        return answer

    def _may_owe(self, name: str, peer: Peer) -> bool:
        shard = self._shard
        return shard.complete and not (
            shard.knows(name, peer.folder) and not shard.owes(name, self._layout.holders)
        )

    def _become_complete(self) -> None:
        for name, peer in self._peers.items():
            self._shard.settle(name, peer.folder, self._shard.number)
        self._shard.become_complete()

    def _goes(self, layout: Layout, other: str, tenant: str, subject: str) -> bool:
        """Whether this shard hands a key to another one: the first holder that stays does."""
        now = self._layout.holders(tenant, subject)
        staying = [shard for shard in now if shard in layout.shards] or now
        return staying[0] == self.name and other in layout.holders(tenant, subject) and other not in now
