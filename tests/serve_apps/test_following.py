"""What a gateway takes over from the rest of the cluster, beside actors that answer and fail as told."""

import asyncio
import warnings

import pytest

with warnings.catch_warnings():
    # Ray's own use of pydantic, at import.
    warnings.simplefilter("ignore", DeprecationWarning)
    from serve_apps.gateway.following import Following
from tests.serve_apps.test_doubt import MODELS, snapshot
from zoran_ray.messages import CatalogueSnapshot, FleetSnapshot, KeySnapshot
from zoran_ray.models_file import ModelsFile, ModelSpec

NEWS = {
    "watch_keys": KeySnapshot(version=3),
    ("registry", "watch"): snapshot("a"),
    "watch_catalogue": CatalogueSnapshot("a", 2, ModelsFile(models=(ModelSpec(name="m"),))),
}


class Cluster:
    """Actors with one piece of news each; `broken` ones raise. Who has heard it waits for ever."""

    def __init__(self, broken=()):
        self.broken = broken
        self.asked = []

    async def news(self, actor, method, *known):
        self.asked.append((actor, method, *known))
        if actor in self.broken:
            raise TimeoutError
        found = NEWS.get(method) or NEWS.get((actor, method))
        heard = {"watch_keys": (3,), "watch_catalogue": ("a", 2), "watch": ("a", 1)}[method]
        if found is None or known == heard:
            await asyncio.Event().wait()
        return found


@pytest.fixture
async def follow(make_stack):
    async def made(**options):
        stack, cluster = await make_stack(open_without_keys=False), Cluster(**options)
        stack.fleet.update(FleetSnapshot())
        seen = stack.fleet, stack.door, stack.arms, stack.router, stack.waiting
        return stack, cluster, Following(*seen, stack.metrics, cluster.news)

    return made


async def test_the_first_news_are_there_before_the_first_request(follow):
    stack, cluster, following = await follow()
    await following.first()
    assert dict(stack.fleet.snapshot.models) == MODELS
    assert sorted(cluster.asked) == [
        ("access", "watch_keys", -1), ("registry", "watch", "", 0), ("registry", "watch_catalogue", "", 0),
    ]  # fmt: skip


async def test_what_is_known_is_asked_for_no_more(follow):
    _, cluster, following = await follow()
    await following.first()
    running = asyncio.create_task(following.run())
    async with asyncio.timeout(10):
        while len(cluster.asked) < 7:
            await asyncio.sleep(0)
    assert sorted(cluster.asked[3:]) == [
        ("access", "watch_keys", 3), ("registry", "watch", "a", 1),
        ("registry", "watch_catalogue", "a", 2), ("resonator", "watch", "", 0),
    ]  # fmt: skip
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_an_actor_that_fails_keeps_nobody_from_the_others_and_is_asked_again(follow):
    stack, cluster, following = await follow(broken=["access"])
    await following.first()
    running = asyncio.create_task(following.run())
    async with asyncio.timeout(10):
        while cluster.asked.count(("access", "watch_keys", -1)) < 3:
            await asyncio.sleep(0.01)
    assert dict(stack.fleet.snapshot.models) == MODELS
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
