"""The queue of one shard: order, one wait for the disk, and nobody who waits for ever."""

import asyncio
import threading

import pytest

from zoran_ray.errors import InvalidRequest, StorageFull, Unavailable
from zoran_ray.memory.jobs import Jobs


@pytest.fixture
async def jobs():
    made = Jobs(lambda: None)
    yield made
    await made.close(lambda: None)


async def test_what_comes_together_is_done_in_order_and_settled_once():
    settled, order = [], []
    jobs = Jobs(lambda: settled.append(len(order)))
    gate = threading.Event()
    first = asyncio.create_task(jobs.run(gate.wait))
    await asyncio.sleep(0.01)
    later = [asyncio.create_task(jobs.run(lambda n=n: order.append(n))) for n in range(10)]
    await asyncio.sleep(0.01)
    gate.set()
    await asyncio.gather(first, *later)
    assert order == list(range(10))
    assert settled == [0, 10]
    await jobs.close(lambda: None)


async def test_one_failure_is_not_that_of_the_others(jobs):
    def fails():
        raise InvalidRequest("no")

    def odd(result):
        raise ValueError("unexpected")

    answers = await asyncio.gather(
        jobs.run(fails), jobs.run(lambda: 1), jobs.run(lambda: 2, odd), return_exceptions=True
    )
    assert isinstance(answers[0], InvalidRequest)
    assert answers[1] == 1
    assert isinstance(answers[2], ValueError)


async def test_a_disk_that_fails_fails_everybody_who_waited_for_it():
    def full():
        raise StorageFull("full")

    jobs = Jobs(full)
    with pytest.raises(StorageFull):
        await jobs.run(lambda: 1)
    await jobs.close(lambda: None)


async def test_a_closed_queue_takes_nothing_and_keeps_nobody_waiting():
    jobs = Jobs(lambda: None)
    gate = threading.Event()
    running = asyncio.create_task(jobs.run(gate.wait))
    await asyncio.sleep(0.01)
    closing = asyncio.create_task(jobs.close(lambda: None))
    await asyncio.sleep(0.01)
    with pytest.raises(Unavailable):
        await jobs.run(lambda: 1)
    gate.set()
    assert await running
    await closing
