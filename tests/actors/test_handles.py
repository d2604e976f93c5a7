"""Finding actors: once a name, never on the event loop, again when one is dead."""

import asyncio
import threading

import pytest

from actors.handles import Handles

WAIT_S = 10


class Gcs:
    """Actors by name, as the GCS has them; answers when it may.

    Attributes:
        asked: The names it was asked for.
    """

    def __init__(self, **actors):
        self.actors = actors
        self.dead = set()
        self.asked = []
        self.awake = threading.Event()
        self.awake.set()

    def find(self, name):
        self.asked.append(name)
        self.awake.wait(WAIT_S)
        if name not in self.actors:
            raise ValueError(f"no actor {name}")
        return self.actors[name]

    def handles(self):
        return Handles(self.find, self.dead.__contains__)


@pytest.fixture
def gcs():
    gcs = Gcs(registry="first", journal="its own")
    yield gcs
    gcs.awake.set()


async def test_a_name_is_asked_for_once(gcs):
    handles = gcs.handles()
    assert [await handles.of("registry") for _ in range(3)] == ["first"] * 3
    assert gcs.asked == ["registry"]
    assert handles.known("registry") == "first"
    assert handles.known("journal") is None


async def test_who_took_over_from_a_dead_one_is_found(gcs):
    handles = gcs.handles()
    await handles.of("registry")
    gcs.dead.add("first")
    gcs.actors["registry"] = "second"
    assert handles.known("registry") is None
    assert await handles.of("registry") == "second"


async def test_one_search_serves_all_who_ask_meanwhile(gcs):
    gcs.awake.clear()
    handles = gcs.handles()
    tasks = [asyncio.create_task(handles.of("registry")) for _ in range(5)]
    await asyncio.sleep(0.01)
    gcs.awake.set()
    assert await asyncio.gather(*tasks) == ["first"] * 5
    assert gcs.asked == ["registry"]


async def test_a_gcs_that_is_silent_holds_up_nobody(gcs):
    """Neither the event loop, nor whoever asks for what is known, nor a second name; deadlines hold."""
    handles = gcs.handles()
    await handles.of("journal")
    gcs.awake.clear()
    patient = asyncio.create_task(handles.of("registry"))
    for _ in range(2):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await handles.of("registry")
    assert await handles.of("journal") == "its own"
    gcs.awake.set()
    # Who gave up has not cancelled the search of who still waits.
    assert await asyncio.wait_for(patient, WAIT_S) == "first"
    assert gcs.asked == ["journal", "registry"]


async def test_who_is_not_there_is_looked_for_again(gcs):
    handles = gcs.handles()
    for _ in range(2):
        with pytest.raises(ValueError, match="no actor memory"):
            await handles.of("memory")
    gcs.actors["memory"] = "there now"
    assert await handles.of("memory") == "there now"


async def test_names_that_come_and_go_do_not_pile_up(gcs, monkeypatch):
    monkeypatch.setattr("actors.handles._MOST", 3)
    handles = gcs.handles()
    gcs.actors |= {str(number): str(number) for number in range(10)}
    for number in range(10):
        assert await handles.of(str(number)) == str(number)
    assert sum(handles.known(str(number)) is not None for number in range(10)) <= 3
