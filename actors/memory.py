"""Who starts the memory's shards and knows where they are.

Nothing is started before somebody asks: a server whose memory nobody uses pays nothing for it. The layout
is in a file; where the settings or the nodes ask for another one, keys move when the server starts, before
anything is answered, and only those that have to.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from actors.memory_client import RayLink, shard_actor
from actors.names import NAMESPACE
from actors.watched import memory_text
from zoran_ray.errors import InvalidRequest, StateDamaged, Unavailable, ZoranError
from zoran_ray.folders import replace_file
from zoran_ray.memory.links import ShardLost
from zoran_ray.memory.placement import FOLDER, Layout, Place
from zoran_ray.memory.rules import MemoryRules
from zoran_ray.settings import MemorySettings

log = logging.getLogger("zoran.memory")

LAYOUT_FILE = "layout.json"
_CALLS = 1000
_SURE_S = 30.0
_MOVE_S = 900.0
_WATCH_S = 2.0
_GONE_S = 10.0
_PAUSE_S = 0.1
_TELL_S = 1.5
"""Less than a scrape waits: one shard that is away hides no other."""


class MemoryDirector:
    """The memory's layout, and its shards' life. `actors.cluster` gives it a mailbox.

    Args:
        state_dir: Its folder `memory` has the layout, and on each node a folder for each shard there.
        settings: Shards, replicas, embedder.
        rules: Rules of the memory.
    """

    def __init__(self, state_dir: Path, settings: MemorySettings, rules: MemoryRules) -> None:
        self._folder = state_dir / FOLDER
        self._settings = settings
        self._rules = rules
        self._layout: Layout | None = None
        self._starting = asyncio.Lock()
        self._actors: dict[str, Any] = {}
        self._on: dict[str, str] = {}
        self._watching: asyncio.Task[None] | None = None

    async def layout(self) -> Layout:
        """The layout; starts the shards first where they were not.

        Raises:
            StateDamaged: The layout's file cannot be read.
            Unavailable: The cluster has no node for a shard.
        """
        async with self._starting:
            if self._layout is None:
                self._layout = await self._begin()
                self._watching = asyncio.create_task(self._watch(self._layout))
        return self._layout

    async def remove(self, shard: str) -> Layout:
        """Goes on without a shard that is lost; what it held is copied again from its replicas.

        Returns:
            The new layout.

        Raises:
            InvalidRequest: There is no such shard, it is the last one, or it answers.
            Unavailable: The others do not answer; nothing has changed.
        """
        old = await self.layout()
        async with self._starting:
            if shard not in old.shards or len(old.shards) == 1:
                raise InvalidRequest(f"The shards that can be removed are {', '.join(old.shards[1:])}.")
            if await _answers(shard):
                raise InvalidRequest(f"{shard} answers. Only what is lost is removed.")
            new = Layout(tuple(place for place in old.places if place.shard != shard), old.replicas)
            try:
                for other in new.shards:
                    await RayLink(other).ask("go_without", shard)
                for other in new.shards:
                    await RayLink(other).ask("hand_over", new, timeout_s=_MOVE_S)
            except ShardLost:
                raise Unavailable("Another shard does not answer; try again.") from None
            self._write(new)
            await self._begin_anew(new)
        return new

    async def _begin_anew(self, layout: Layout) -> None:
        nodes = await asyncio.to_thread(_alive_nodes)
        await self._end(list(self._actors))
        for place in layout.places:
            self._start(place, layout, nodes)
        if self._watching is not None:
            self._watching.cancel()
        self._layout = layout
        self._watching = asyncio.create_task(self._watch(layout))

    async def metrics(self) -> str:
        """How the shards are, for Prometheus; starts none."""
        if self._layout is None:
            return ""
        places = self._layout.places
        told = [RayLink(place.shard).ask("stats", timeout_s=_TELL_S) for place in places]
        answers = await asyncio.gather(*told, return_exceptions=True)
        return memory_text({place.shard: answer for place, answer in zip(places, answers, strict=True)})

    async def resume(self) -> None:
        """Starts the shards where there is something in them: what is over has to go."""
        if (self._folder / LAYOUT_FILE).exists():
            with contextlib.suppress(ZoranError):
                await self.layout()

    async def _begin(self) -> Layout:
        nodes = await asyncio.to_thread(_alive_nodes)
        known = _read(self._folder / LAYOUT_FILE)
        wanted = planned(known, tuple(nodes), self._settings)
        if known is not None and known != wanted and not await self._move(known, wanted, nodes):
            wanted = known
        self._write(wanted)
        for place in wanted.places:
            self._start(place, wanted, nodes)
        return wanted

    async def _watch(self, layout: Layout) -> None:
        """Starts the shards of nodes that come back; runs until cancelled."""
        while True:
            await asyncio.sleep(_WATCH_S)
            try:
                nodes = await asyncio.to_thread(_alive_nodes)
                for place in layout.places:
                    if nodes.get(place.node) not in (None, self._on.get(place.shard)):
                        await self._end([place.shard])
                        self._start(place, layout, nodes)
            except Exception as failure:
                log.warning("the memory's nodes cannot be looked after: %s", type(failure).__name__)

    async def _move(self, old: Layout, new: Layout, nodes: dict[str, str]) -> bool:
        """Takes keys to where they have to be. Returns: False where that cannot be done now."""
        fresh = [place for place in new.places if place.shard not in old.shards]
        for place in old.places:
            self._start(place, old, nodes)
        for place in fresh:
            self._start(place, Layout((place,), 1), nodes)
        moved = False
        try:
            await asyncio.gather(*(self._actors[place.shard].erase.remote() for place in fresh))
            await self._until_sure(old)
            for shard in old.shards:
                await RayLink(shard).ask("hand_over", new, timeout_s=_MOVE_S)
            self._write(new)
            moved = True
            left = [shard for shard in old.shards if shard not in new.shards]
            await asyncio.gather(*(self._actors[shard].erase.remote() for shard in left))
        except (ShardLost, ZoranError, TimeoutError, KeyError) as failure:
            log.error(
                "the memory's keys cannot move to the new shards now (%s); %s",
                failure,
                "old folders are left" if moved else "the old layout stays in force",
            )
        await self._end(list(self._actors))
        return moved

    async def _until_sure(self, layout: Layout) -> None:
        async with asyncio.timeout(_SURE_S):
            for shard in layout.shards:
                while (await RayLink(shard).ask("stats"))[1]:
                    await asyncio.sleep(_PAUSE_S)

    async def _end(self, shards: Sequence[str]) -> None:
        """Ends shards and waits until their names are free."""
        for shard in shards:
            self._on.pop(shard, None)
            if actor := self._actors.pop(shard, None):
                ray.kill(actor)
        async with asyncio.timeout(_GONE_S):
            while any(_is_there(shard_actor(shard)) for shard in shards):
                await asyncio.sleep(_PAUSE_S)

    def _start(self, place: Place, layout: Layout, nodes: dict[str, str]) -> None:
        from actors.memory_shard import MemoryShardActor  # and the indexes: large, and needed by few

        node_id = nodes.get(place.node)
        if node_id is None:
            log.warning("%s of the memory is away: its node %s is", place.shard, place.node)
            return
        options: dict[str, Any] = {
            "name": shard_actor(place.shard),
            "namespace": NAMESPACE,
            "num_cpus": 0,
            "max_restarts": -1,
            "max_concurrency": _CALLS,
            "scheduling_strategy": NodeAffinitySchedulingStrategy(node_id, soft=False),
        }
        folder = self._folder / place.shard
        self._actors[place.shard] = (
            ray.remote(MemoryShardActor)
            .options(**options)
            .remote(place.shard, folder, layout, self._settings, self._rules)
        )
        self._on[place.shard] = node_id
        self._actors[place.shard].ask.remote("stats")  # so that it opens its folder

    def _write(self, layout: Layout) -> None:
        rows = [{"shard": place.shard, "node": place.node} for place in layout.places]
        data = orjson.dumps({"form": 1, "replicas": layout.replicas, "shards": rows})
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(self._folder / LAYOUT_FILE, data)
        except OSError as error:
            raise Unavailable(f"{self._folder} cannot be written: {error.strerror}.") from error


async def _answers(shard: str) -> bool:
    try:
        await RayLink(shard).ask("stats")
    except ShardLost:
        return False
    except ZoranError:
        pass
    return True


def planned(known: Layout | None, nodes: tuple[str, ...], settings: MemorySettings) -> Layout:
    """The layout that the settings ask for. Shards stay where they are; new ones go to emptier nodes.

    Args:
        known: The layout until now.
        nodes: Names of the nodes that are there, the head first.
        settings: Shards and replicas.

    Raises:
        Unavailable: There is no node.
    """
    if not nodes:
        raise Unavailable("The cluster has no node for the memory.", retry_after_s=5.0)
    places = list(known.places) if known else []
    if len(nodes) == 1 and len({place.node for place in places}) == 1:
        # One machine that got another address is the same machine.
        places = [Place(place.shard, nodes[0]) for place in places]
    used = Counter(place.node for place in places)
    empty = [node for node in nodes if not used[node]]
    count = settings.shards or len(places) + len(empty)
    del places[count:]
    used = Counter(place.node for place in places)
    taken = {place.shard for place in places}
    names = (name for number in range(count) if (name := f"shard-{number}") not in taken)
    while len(places) < count:
        node = min(nodes, key=lambda each: (used[each], nodes.index(each)))
        used[node] += 1
        places.append(Place(next(names), node))
    return Layout(tuple(places), settings.replicas)


def _read(path: Path) -> Layout | None:
    try:
        found = orjson.loads(path.read_bytes())
        places = tuple(Place(row["shard"], row["node"]) for row in found["shards"])
        return Layout(places, found["replicas"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, ZoranError) as error:
        raise StateDamaged(
            f"{path} cannot be read. It says which shard of the memory is on which node: restore it."
        ) from error


def _alive_nodes() -> dict[str, str]:
    """Ids of the nodes that are there, by name, the head first."""
    alive = [node for node in ray.nodes() if node["Alive"]]
    alive.sort(key=lambda node: "node:__internal_head__" not in node["Resources"])
    return {node["NodeName"]: node["NodeID"] for node in alive}


def _is_there(name: str) -> bool:
    try:
        ray.get_actor(name, namespace=NAMESPACE)
    except ValueError:
        return False
    return True
