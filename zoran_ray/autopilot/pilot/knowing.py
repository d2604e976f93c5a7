"""What is known from before, for the model; and what is kept of a fix. Memory never fails a task."""

import asyncio
import logging

from zoran_ray.autopilot.forge import one_line
from zoran_ray.autopilot.pilot.flight import Flight
from zoran_ray.autopilot.pilot.part import Part

log = logging.getLogger("zoran.autopilot")

_MOST_FOUND_CHARS = 3_000
_MOST_CHANGE_CHARS = 3_000
_MOST_MESSAGE_CHARS = 200
_MOST_FILES = 5


async def known_for(flight: Flight, part: Part) -> str:
    """What whoever asked, the memory, and the repositories before this one have to say. Untrusted."""
    found = await _found(flight)
    before = [_change(each) for each in flight.parts[: part.index] if each.change]
    past = f"Fixes of the past:\n{found}" if found else ""
    return "\n\n".join(filter(None, (flight.errand.known, past, *before, _beside(flight, part))))


async def keep_fix(flight: Flight) -> None:
    """Remembers in one sentence what was changed, once. Raises: LeaseLost."""
    if flight.world.memory is None or flight.task.facts.get("kept"):
        return
    for part in flight.changed():
        try:
            engine = (await flight.checkout(part)).engine
            async with asyncio.timeout(flight.settings.keep_s):
                await flight.world.memory.keep(flight.task.owner, engine.redact(_sentence(flight, part)))
        except Exception as error:
            log.warning("a fix was not remembered: %s", type(error).__name__)
    await flight.held.learn({"kept": True})


async def _found(flight: Flight) -> str:
    if flight.world.memory is None:
        return ""
    try:
        async with asyncio.timeout(flight.settings.memory_s):
            found = await flight.world.memory.find(flight.task.owner, flight.errand.message)
    except Exception as error:
        log.warning("the memory of fixes was not asked: %s", type(error).__name__)
        return ""
    return found[:_MOST_FOUND_CHARS]


def _beside(flight: Flight, part: Part) -> str:
    needed = [flight.parts[index] for index in part.needs]
    names = [f"{each.remote}{' with its change' if each.change else ''}" for each in needed]
    return f"The tests of this repository run with {', '.join(names)}." if names else ""


def _change(part: Part) -> str:
    title = part.plan.title if part.plan else ""
    diff = part.change.diff if part.change else ""
    return f"In another repository of this task, {part.remote}: {title}\n{diff[:_MOST_CHANGE_CHARS]}"


def _sentence(flight: Flight, part: Part) -> str:
    message = one_line(flight.errand.message, _MOST_MESSAGE_CHARS)
    files = ", ".join(part.change.changed[:_MOST_FILES]) if part.change else ""
    title = part.plan.title if part.plan else "a change"
    return f'"{message}" was mended in {files} of {part.remote}: {title}.'
