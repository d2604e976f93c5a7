"""Outcomes on their way to the Resonator."""

import pytest

from serve_apps.gateway.reporting import MOST, Reporting


class Actor:
    def __init__(self):
        self.got, self.away = [], False

    async def __call__(self, batch):
        if self.away:
            raise ConnectionError
        self.got += batch


async def test_batches_in_order():
    actor = Actor()
    reporting = Reporting(actor)
    for n in range(1000):
        reporting.put(n)
    await reporting.flush()
    assert actor.got == list(range(1000))
    assert len(reporting) == 0


async def test_what_is_not_acknowledged_is_sent_again():
    actor = Actor()
    reporting = Reporting(actor)
    for n in range(300):
        reporting.put(n)
    actor.away = True
    with pytest.raises(ConnectionError):
        await reporting.flush()
    reporting.put(300)
    actor.away = False
    await reporting.flush()
    assert actor.got == list(range(301))


async def test_past_the_bound_the_oldest_goes():
    actor = Actor()
    actor.away = True
    reporting = Reporting(actor)
    for n in range(MOST + 10):
        reporting.put(n)
    with pytest.raises(ConnectionError):
        await reporting.flush()
    assert len(reporting) == MOST
    actor.away = False
    await reporting.flush()
    assert actor.got == list(range(10, MOST + 10))
