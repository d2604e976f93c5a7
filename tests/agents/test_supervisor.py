"""A supervisor over hosts that die when they are told to. No process is started."""

import asyncio

import pytest

from zoran_ray.agents.restarts import Restarts
from zoran_ray.agents.supervisor import Supervised
from zoran_ray.errors import AgentGivenUp


class Dies:
    """A host."""

    def __init__(self, number, hangs=False):
        self.name = f"host-{number}"
        self.dead = asyncio.Event()
        self.hangs = hangs
        self.killed = False

    async def well(self):
        if self.hangs:
            await asyncio.Event().wait()

    async def ended(self):
        await self.dead.wait()
        raise ConnectionResetError("gone")

    def kill(self):
        self.killed = True
        self.dead.set()


class House:
    """A supervisor, the hosts it started and a clock."""

    def __init__(self, intensity=2, hangs=()):
        self.now = 0.0
        self.hosts = []
        self.hangs = hangs
        restarts = Restarts(intensity, 60.0, lambda: self.now)
        self.supervised = Supervised("coder", self.start, restarts, well_every_s=0.01, well_within_s=0.05)

    def start(self, number):
        self.hosts.append(Dies(number, number in self.hangs))
        return self.hosts[-1]

    async def die(self):
        """The one that runs dies, and its supervisor has noticed."""
        before = self.supervised.deaths
        self.hosts[-1].dead.set()
        while self.supervised.deaths == before:
            await asyncio.sleep(0)


@pytest.fixture
async def house():
    made = House()
    yield made
    made.supervised.restart()
    await asyncio.sleep(0.01)


async def test_nothing_is_started_before_somebody_wants_it_and_then_once(house):
    assert house.hosts == []
    assert await asyncio.gather(*(house.supervised.host() for _ in range(5))) == ["host-0"] * 5
    assert len(house.hosts) == 1


async def test_one_that_dies_is_started_again_without_being_asked_for(house):
    assert await house.supervised.host() == "host-0"
    await house.die()
    assert await house.supervised.host() == "host-1"
    assert house.hosts[0].killed
    assert house.supervised.alive


async def test_after_too_many_deaths_it_is_given_up_until_the_period_is_over(house):
    for number in range(3):
        assert await house.supervised.host() == f"host-{number}"
        await house.die()
    with pytest.raises(AgentGivenUp, match="60 s") as caught:
        await house.supervised.host()
    assert caught.value.retry_after_s == 60.0
    assert len(house.hosts) == 3
    house.now = 60.0
    assert await house.supervised.host() == "host-3"


async def test_an_operator_restarts_what_was_given_up(house):
    for _ in range(3):
        await house.supervised.host()
        await house.die()
    house.supervised.restart()
    assert await house.supervised.host() == "host-3"


async def test_an_operator_restarts_what_runs(house):
    await house.supervised.host()
    house.supervised.restart()
    assert await house.supervised.host() == "host-1"
    await asyncio.sleep(0.01)
    assert house.hosts[0].killed
    assert not house.hosts[1].killed
    assert await house.supervised.host() == "host-1"


async def test_one_that_answers_nobody_counts_as_dead(house):
    await house.supervised.host()
    house.hosts[0].hangs = True
    while len(house.hosts) < 2:
        await asyncio.sleep(0.01)
    assert house.hosts[0].killed
    assert await house.supervised.host() == "host-1"
