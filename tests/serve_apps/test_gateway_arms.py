"""The arms of a gateway while the catalogue and the keys change under them."""

import asyncio
import pickle
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from serve_apps.gateway.arms import Arms
from tests.engines.providers.fake_provider import FakeProvider, hold, reset_at_once, stream
from tests.engines.providers.speeches import CHAT, Speech, event
from tests.serve_apps.arms_stage import BREAKER, CANARY, ENVIRON, PATIENCE_S, Stage, arm, catalogue
from zoran_ray.errors import DeadlineExceeded, InvalidRequest, ModelNotFound, ProviderRefused, Unavailable

DELTA = event(Speech().piece(CHAT, "Hello"))
NOWHERE = "http://127.0.0.1:9/v1"


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with FakeProvider(Speech(), CANARY) as first, FakeProvider(Speech(), CANARY) as second:
        stage = Stage(first, second)
        yield stage
        await stage.arms.close()


def connection(stage: Stage, name: str = "acme/a") -> Any:
    seat = stage.arms._arms[name]._seat
    assert seat is not None
    return seat.engine._connection  # type: ignore[attr-defined]


def test_before_the_first_catalogue_there_is_nothing() -> None:
    arms = Arms({})
    assert list(arms.catalogue) == arms.rows() == []
    assert not arms.is_remote("openai/gpt-4o")
    assert arms.usable("local/pocket")
    assert arms.why_not("local/pocket") is None
    with pytest.raises(ModelNotFound):
        arms.asking("openai/gpt-4o", 1.0)
    assert isinstance(arms.refusal(["local/pocket"]), Unavailable)


async def test_arms_of_one_provider_share_a_pool_that_goes_with_the_last(stage: Stage) -> None:
    url = stage.first.url
    both = arm("acme/a", url), arm("acme/b", url, upstream="other")
    stage.arms.update(catalogue(*both))
    shared = connection(stage, "acme/a")
    assert connection(stage, "acme/b") is shared
    await stage.ask("acme/a")
    stage.arms.update(catalogue(both[0]))
    await asyncio.sleep(0)
    assert shared._pool is not None, "closed under the arm that is left"
    assert (await stage.ask("acme/a")).status == 200
    assert stage.first.connections[0] == stage.first.connections[1]
    await stage.arms.close()
    assert shared._pool is None


async def test_prices_change_and_all_else_goes_on(stage: Stage) -> None:
    stage.first.will(*[reset_at_once] * 3)
    await stage.ask("acme/a")
    before = connection(stage)
    assert stage.row()["breaker"] == "open"
    stage.offer(usd_per_million_input=7)
    assert connection(stage) is before
    assert stage.row()["breaker"] == "open"
    assert stage.arms.catalogue.prices("acme/a").input == 7_000_000_000


async def test_another_address_is_another_chance(stage: Stage) -> None:
    stage.offer(base_url=NOWHERE)
    await stage.ask("acme/a")
    assert not stage.arms.usable("acme/a")
    stage.offer()
    assert stage.arms.usable("acme/a")
    assert (await stage.ask("acme/a")).status == 200


@pytest.mark.parametrize("change", ["gone", "elsewhere", "no key"])
async def test_an_answer_under_way_is_not_cut_by_a_change(stage: Stage, change: str) -> None:
    going_on = asyncio.Event()

    async def step(request: Any) -> Any:
        whole = Speech().events(CHAT, True)
        response = await stream(whole[0])(request)
        await going_on.wait()
        for piece in whole[1:]:
            await response.write(piece)  # type: ignore[attr-defined]
        return response

    stage.first.will(step)
    client = stage.client(stream=True)
    serving = asyncio.create_task(stage.serve(client, "acme/a"))
    await asyncio.wait_for(client.got.wait(), PATIENCE_S)
    old = connection(stage)
    if change == "gone":
        stage.arms.update(catalogue(arm("acme/b", stage.second.url)))
    elif change == "elsewhere":
        stage.offer(base_url=NOWHERE)
    else:
        stage.offer(api_key_env="OTHER_API_KEY")
    await asyncio.sleep(0)
    assert old._pool is not None
    going_on.set()
    await serving
    assert client.error is None
    assert client.account.usage is not None
    assert client.account.usage.prompt_tokens == 19
    for _ in range(10):
        await asyncio.sleep(0)
    assert old._pool is None, "nobody uses it any more"


async def test_an_arm_without_a_key_says_which(stage: Stage) -> None:
    stage.offer(api_key_env="OTHER_API_KEY")
    assert stage.arms.is_remote("acme/a")
    assert not stage.arms.usable("acme/a")
    assert "OTHER_API_KEY" in (stage.arms.why_not("acme/a") or "")
    assert stage.row()["why_not"] == stage.arms.why_not("acme/a")
    with pytest.raises(ProviderRefused, match="acme/a"):
        async with stage.arms.asking("acme/a", time.monotonic() + 9):
            pytest.fail("must not be asked")
    client = await stage.ask("acme/a")
    assert isinstance(client.error, ProviderRefused)
    assert "OTHER_API_KEY" not in client.answer.decode()
    assert (await stage.ask()).status == 200
    assert not stage.first.requests


async def test_a_key_file_may_come_later_and_change(stage: Stage, tmp_path: Path) -> None:
    place = tmp_path / "key"
    fields = {"api_key_env": None, "api_key_file": str(place)}
    stage.offer(**fields)
    assert str(place) in (stage.arms.why_not("acme/a") or "")
    place.write_text("sk-wrong-canary-000")
    stage.arms.update(stage.arms.catalogue)
    assert isinstance((await stage.ask("acme/a")).error, ProviderRefused)
    place.write_text(CANARY)
    stage.arms.update(stage.arms.catalogue)
    assert (await stage.ask("acme/a")).status == 200
    same = connection(stage)
    stage.arms.update(stage.arms.catalogue)
    assert connection(stage) is same


async def test_whichever_is_back_first_tells_the_wait(stage: Stage) -> None:
    stage.first.will(*[reset_at_once] * 3)
    stage.second.will(*[reset_at_once] * 3)
    await stage.ask("acme/a")
    stage.later_s = 2.0
    await stage.ask("acme/b")
    error = stage.arms.refusal(["local/x", "acme/b", "acme/a"])
    assert isinstance(error, Unavailable)
    assert "acme/a" in error.message
    assert 2 < (error.retry_after_s or 0) <= 3


async def test_more_places_let_those_in_who_wait(stage: Stage) -> None:
    stage.offer(max_concurrency=1)
    stage.first.will(hold, hold)
    serving = [asyncio.create_task(stage.ask("acme/a")) for _ in range(2)]
    while not stage.row()["queued"]:
        await asyncio.sleep(0.001)
    stage.offer(max_concurrency=2)
    while len(stage.first.requests) < 2:
        await asyncio.sleep(0.001)
    assert (stage.row()["held"], stage.row()["queued"]) == (2, 0)
    for task in serving:
        task.cancel()
    await asyncio.gather(*serving, return_exceptions=True)


async def test_nobody_waits_for_a_place_longer_than_for_a_byte(stage: Stage) -> None:
    stage.offer(max_concurrency=1, timeout_s=0.05)
    async with stage.arms.asking("acme/a", time.monotonic() + 9):
        with pytest.raises(DeadlineExceeded, match="no place free"):
            async with stage.arms.asking("acme/a", time.monotonic() + 9):
                pytest.fail("there is no place")
    assert (stage.row()["failures"], stage.row()["results"]) == (0, 1)


@pytest.mark.parametrize(
    ("error", "counted"),
    [
        (InvalidRequest("x"), 0),
        (asyncio.CancelledError(), 0),
        (DeadlineExceeded("x"), 0),
        (KeyError("x"), 1),
    ],
)
async def test_what_speaks_against_an_arm(stage: Stage, error: BaseException, counted: int) -> None:
    with pytest.raises(type(error)):
        async with stage.arms.asking("acme/a", time.monotonic() + 9):
            raise error
    assert stage.row()["failures"] == counted


async def test_a_deadline_speaks_against_an_arm_that_had_time(stage: Stage) -> None:
    async def late() -> None:
        async with stage.arms.asking("acme/a", time.monotonic() + 9):
            stage.later_s += 6
            raise DeadlineExceeded("x")

    with pytest.raises(DeadlineExceeded):
        await late()
    assert stage.row()["failures"] == 1


async def test_silence_counts_though_the_loops_clock_is_a_moment_ahead_of_ours(stage: Stage) -> None:
    async def silent() -> None:
        async with stage.arms.asking("acme/a", time.monotonic() + 9):
            stage.later_s += 0.99
            raise DeadlineExceeded("x")

    stage.offer(timeout_s=1.0)
    with pytest.raises(DeadlineExceeded):
        await silent()
    assert stage.row()["failures"] == 1


async def test_nothing_of_it_can_be_pickled(stage: Stage) -> None:
    await stage.ask("acme/a")
    with pytest.raises(Exception) as caught:
        pickle.dumps(stage.arms)
    assert CANARY[8:] not in repr(caught.value)


async def test_closing_twice_is_closing_once() -> None:
    arms = Arms(ENVIRON, policy=BREAKER)
    arms.update(catalogue(arm("acme/a", NOWHERE)))
    await arms.close()
    await arms.close()
    assert arms.rows() == []
