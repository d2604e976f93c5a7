"""From a request to a proven change of each repository, in our own copies alone: received to tested."""

from dataclasses import replace
from functools import partial
from typing import Any

from zoran_ray.autopilot.engineer import (
    Attempt,
    AttemptOutcome,
    Engineer,
    EngineerSettings,
    Job,
    Place,
    Plan,
    Work,
)
from zoran_ray.autopilot.pilot.asides import GaveUp
from zoran_ray.autopilot.pilot.beside import dependencies, is_stale, renewed
from zoran_ray.autopilot.pilot.flight import Flight
from zoran_ray.autopilot.pilot.knowing import known_for
from zoran_ray.autopilot.pilot.part import UNTOUCHED, Part
from zoran_ray.autopilot.pilot.receive import receive
from zoran_ray.autopilot.task import PATH, Mode, State
from zoran_ray.autopilot.tasks import ATTEMPT
from zoran_ray.errors import SandboxUnavailable
from zoran_ray.policy import Policy, PolicyEngine
from zoran_ray.tools.code_runner import CodeRunner, NoRunner

_PLANNED = PATH.index(State.PLANNED)
_WHY = {
    "tries": "No try was proven",
    "unprovable": "Nothing can be proven here",
    "deadline": "The task's time is over",
}


async def mend(flight: Flight) -> State:
    """Goes on where the task stands, until each repository's change is proven; advice needs no proof.

    Raises:
        GaveUp: It cannot be proven, or the budget is spent.
        ZoranError: A remote, the model or the sandbox failed; it may be tried again.
    """
    await receive(flight)
    mode = flight.task.mode
    await _advance(flight)
    for index in range(len(flight.parts)):
        if is_stale(flight.parts, flight.parts[index]):
            await flight.put(renewed(flight.parts, flight.parts[index]))
        if not flight.parts[index].settled(mode):
            await _work(flight, index)
            await _advance(flight)
    if not flight.changed():
        raise GaveUp(
            "unprovable", "No test fails in any of the repositories, so nothing can be shown to be mended."
        )
    return State.EDITED if mode is Mode.ADVISOR else State.TESTED


async def _work(flight: Flight, index: int) -> None:
    part = flight.parts[index]
    checkout = await flight.checkout(part)
    policy = checkout.engine.policy
    ask = flight.asking(part, checkout.engine)
    engineer = Engineer(
        ask, checkout.repository, checkout.engine, _runner(flight, policy), _settings(flight, part),
        embed=flight.world.embed and flight.world.embed(flight.task),
        beside=await dependencies(flight, part),
    )  # fmt: skip
    place = await engineer.open(await _job(flight, part))
    if len(flight.parts) > 1 and not part.attempts and place.before and place.before.is_well:
        await flight.put(replace(part, ended=UNTOUCHED))
        return
    work = await engineer.work(place.job, partial(_heard, flight, index), part.plan, part.attempts, place)
    done = replace(flight.parts[index], ended=work.ended)
    if done.change is None or not (done.proven or flight.task.mode is Mode.ADVISOR):
        raise GaveUp(work.ended.partition(":")[0], checkout.engine.redact(_why(work, place)))
    await flight.put(done)


async def _job(flight: Flight, part: Part) -> Job:
    task = flight.task
    return Job(
        flight.errand.message, part.base, flight.settings.author, int(task.created), f"Task: {task.id}",
        await known_for(flight, part), tests_needed=task.mode is not Mode.ADVISOR,
    )  # fmt: skip


def _runner(flight: Flight, policy: Policy) -> CodeRunner:
    try:
        return flight.world.runner(policy)
    except SandboxUnavailable:
        if flight.task.mode is Mode.ADVISOR:
            return NoRunner()
        raise


def _settings(flight: Flight, part: Part) -> EngineerSettings:
    """On a base that moved, the same change is tested and no other is tried: others know this one."""
    settings = flight.settings.engineer
    return settings if part.round == 1 else replace(settings, tries=len(part.attempts))


async def _heard(flight: Flight, index: int, step: Plan | Attempt) -> None:
    """Writes a step of the engineer's down, so that the next worker goes on behind it."""
    part = flight.parts[index]
    if isinstance(step, Plan):
        part = replace(part, plan=step)
        told: dict[str, Any] = {"files": step.files}
    else:
        earlier = tuple(each for each in part.attempts if each.number != step.number)
        part = replace(part, attempts=(*earlier, step))
        told = _told(step, (await flight.checkout(part)).engine)
    await flight.put(part)
    kind = "planned" if isinstance(step, Plan) else ATTEMPT
    await flight.held.note(kind, {"repository": index, **told})
    await _advance(flight)


async def _advance(flight: Flight) -> None:
    """Lets the task stand where all its repositories have come to. Advice is edited when all is said."""
    cap = State.PLANNED if flight.task.mode is Mode.ADVISOR else State.EDITED
    there = min(PATH.index(state) for state in (cap, *(part.standing for part in flight.parts)))
    here = PATH.index(flight.task.state)
    if there < here and here > _PLANNED:  # a repository may be planned anew, a task is not received anew
        await flight.move(PATH[max(there, _PLANNED)])
    for state in PATH[here + 1 : there + 1]:
        await flight.move(state)


def _told(attempt: Attempt, engine: PolicyEngine) -> dict[str, Any]:
    """What watchers hear of a try: no word of the model's, which an unreadable answer's faults quote."""
    evidence = attempt.evidence
    names = ("fixed", "worse", "missing", "flaky", "still_failing")
    reasons = () if attempt.outcome is AttemptOutcome.UNREADABLE else attempt.reasons
    return {
        "number": attempt.number, "outcome": attempt.outcome, "changed": attempt.changed,
        "added": attempt.added, "removed": attempt.removed, "asks": attempt.asks,
        "reasons": [engine.redact(each) for each in reasons],
        "tests": evidence and {name: len(getattr(evidence, name)) for name in names},
        "coverage": evidence and evidence.coverage,
    }  # fmt: skip


def _why(work: Work, place: Place) -> str:
    ended, _, what = work.ended.partition(":")
    if ended == "budget":
        return f"The task's budget is spent: {what}. The policy's 'budgets' say how much it may use."
    reasons = [place.before.fault] if ended == "unprovable" and place.before else []
    last = work.attempts[-1] if work.attempts else None
    if last and last.outcome is AttemptOutcome.UNREADABLE:
        reasons.append("The model's last answer held no edits that can be applied.")
    elif last:
        reasons += last.reasons
    return f"{_WHY.get(ended, ended)}. {' '.join(reasons)}".strip()
