"""Reaching the journal: plain errors for those who wait, bounds for those who do not."""

import asyncio
import warnings

import pytest

with warnings.catch_warnings():
    # Ray's own use of pydantic, at import.
    warnings.simplefilter("ignore", DeprecationWarning)
    from ray.exceptions import ActorUnavailableError, RayTaskError

from actors import told
from actors.told import Telling, forget_names, tell
from zoran_ray.errors import ConfigError, InvalidRequest, Unavailable
from zoran_ray.journal import Event, Kind


def decided(number):
    return Event(Kind.ROUTING_DECISION, {"request": f"r{number}"})


class Journal:
    """Keeps what it is told, or refuses it with `error`."""

    def __init__(self):
        self.told = []
        self.durable = []
        self.error = None

    async def tell(self, events, durable=True):
        if self.error is not None:
            raise self.error
        self.told += [dict(event.meta) for event in events]
        self.durable.append(durable)
        return 0


async def test_what_was_not_taken_is_told_again_in_order():
    journal = Journal()
    telling = Telling(journal.tell)
    telling.put(decided(n) for n in range(told.BATCH + 3))
    journal.error = Unavailable("down")
    with pytest.raises(Unavailable):
        await telling.flush()
    telling.put([decided(told.BATCH + 3)])
    journal.error = None
    await telling.flush()
    assert journal.told == [{"request": f"r{n}"} for n in range(told.BATCH + 4)]
    assert journal.durable == [False, False]
    assert len(telling) == 0


async def test_what_there_is_no_room_for_is_counted_once():
    journal = Journal()
    telling = Telling(journal.tell, most=2)
    telling.put(decided(n) for n in range(5))
    await telling.flush()
    await telling.flush()
    assert journal.told == [{"request": "r0"}, {"request": "r1"}, {"left_out": 3}]


async def test_what_is_refused_for_ever_is_left_out():
    journal = Journal()
    telling = Telling(journal.tell)
    telling.put([decided(0)])
    journal.error = InvalidRequest("never")
    with pytest.raises(InvalidRequest):  # it does not take the count either
        await telling.flush()
    journal.error = None
    telling.put([decided(1)])
    await telling.flush()
    assert journal.told == [{"request": "r1"}, {"left_out": 1}]


async def test_a_rollback_is_waited_for():
    journal = Journal()
    telling = Telling(journal.tell)
    telling.put([decided(0), Event(Kind.GUARD_ROLLBACK, {"rollbacks": 1})])
    await telling.flush()
    assert journal.durable == [True]


async def test_callers_hear_our_errors_alone(monkeypatch):
    ours = ConfigError("The journal cannot be used now.")
    wrapped = RayTaskError("append", "Traceback: /secret/path", ours).as_instanceof_cause()
    outcomes = {
        wrapped: ConfigError,
        ActorUnavailableError("gone", None): Unavailable,
        TimeoutError(): Unavailable,
        ValueError("no actor of this name"): Unavailable,
    }
    for failure, heard in outcomes.items():

        async def fail(*args, failure=failure, timeout_s=0.0):
            raise failure

        monkeypatch.setattr(told, "call", fail)
        for asked in (tell([decided(0)]), forget_names("acme")):
            with pytest.raises(heard) as caught:
                await asked
            assert type(caught.value) is heard
            assert "secret" not in str(caught.value)


async def test_the_journal_is_called_by_its_name(monkeypatch):
    calls = []

    async def call(*args, timeout_s):
        calls.append((args, timeout_s))
        return 7

    monkeypatch.setattr(told, "call", call)
    event = decided(0)
    assert await tell([event], durable=False, timeout_s=1.0) == 7
    await asyncio.gather(forget_names("acme", "ada"))
    assert calls == [
        (("journal", "append", (event,), False), 1.0),
        (("journal", "forget_names", "acme", "ada"), 5.0),
    ]
