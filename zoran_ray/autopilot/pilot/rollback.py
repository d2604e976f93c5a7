"""Takes back what is not well: the deployment at once, the change by a pull request that people merge."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from zoran_ray.autopilot.deploy.deployer import Deployer, Release
from zoran_ray.autopilot.forge import Account, Wanted, open_once, pull_request_body
from zoran_ray.autopilot.pilot.asides import AwaitsPerson
from zoran_ray.autopilot.pilot.flight import Flight
from zoran_ray.autopilot.pilot.part import Part
from zoran_ray.autopilot.pilot.publish import OPEN, PUSH, branch_of, push_once
from zoran_ray.autopilot.pilot.release import marker_of, settled_health, target_of
from zoran_ray.autopilot.steps import once
from zoran_ray.autopilot.task import State
from zoran_ray.batch.threads import in_thread

Json = Mapping[str, Any]


async def roll_back(flight: Flight) -> State:
    """What ran before runs again, and a pull request takes each change back.

    Raises:
        AwaitsPerson: The policy wants a person to see the push or the pull request, or nobody can tell what
            ran before.
        ZoranError: A target or a forge failed.
    """
    release = flight.task.facts.get("release")
    if release and release["before"] and "rollback" not in flight.task.facts:
        await _bring_back(flight)
    for part in reversed(flight.changed()):
        if part.merged is not None:
            await _revert(flight, part)
    looked = (flight.task.facts.get("awaiting") or {}).get("what") == "deploy"
    if release and "made" in release and not release["before"] and not looked:
        why = "Nobody can tell what ran there before. Bring it back by hand, and resume."
        raise AwaitsPerson("deploy", why, None)
    return State.ROLLED_BACK


async def _bring_back(flight: Flight) -> None:
    facts, deployer = flight.task.facts["release"], target_of(flight)
    if "made" not in facts and not await in_thread(
        deployer.find, facts["commit"], marker_of(flight, "deploy")
    ):
        return  # it was meant and never begun
    made = await in_thread(_roll_back, flight, deployer, facts["before"])
    until = flight.held.tasks.now() + flight.settings.health_s
    health = await settled_health(flight, deployer, Release(**made), until)
    await flight.held.learn({"rollback": {"made": made, "health": health}})
    await flight.held.note("rolled_back", {"target": facts["target"], "health": health})


def _roll_back(flight: Flight, deployer: Deployer, before: Json) -> Json:
    def look_up(meant: Json) -> Json | None:
        commit = meant["before"]["commit"]
        found = deployer.find(commit, meant["marker"]) if commit else None
        return asdict(found) if found else None

    def act(meant: Json) -> Json:
        return asdict(deployer.roll_back(Release(**meant["before"]), meant["marker"]))

    intent = {"before": before, "marker": marker_of(flight, "rollback")}
    return once(flight.held.tasks, flight.held.lease, "roll back", intent, look_up, act)


async def _revert(flight: Flight, part: Part) -> None:
    """A pull request without the change, upon the branch as it is now. The policy allowed the change; its
    diff is not judged a second time, or what came could not go."""
    known = dict(flight.task.facts.get("reverts") or {})
    if str(part.index) not in known:
        commit = await in_thread(_undone, flight, part)
        known[str(part.index)] = {"commit": commit}
        await flight.held.learn({"reverts": known})
    commit = known[str(part.index)]["commit"]
    if commit is None:
        await flight.held.note("revert_at_odds", {"repository": part.index})
    elif "url" not in known[str(part.index)]:
        number, url = await _opened(flight, part, commit)
        known[str(part.index)] = {"commit": commit, "number": number, "url": url}
        await flight.held.learn({"reverts": known})
        await flight.held.note("revert", {"repository": part.index, "url": url})


def _undone(flight: Flight, part: Part) -> str | None:
    repository, task = flight.repository(part.remote), flight.task
    _, tip = repository.fetch(part.branch)
    assert part.merged is not None
    message = f"Take back a change that is not well\n\nThis takes back {part.merged}.\n\nTask: {task.id}"
    return repository.undone(part.merged, tip, message, flight.settings.author, int(task.created))


async def _opened(flight: Flight, part: Part, commit: str) -> tuple[int, str]:
    engine = (await flight.checkout(part)).engine
    await flight.require_action(engine, PUSH, part, commit)
    branch = f"{branch_of(flight)}-revert"
    await push_once(flight, f"push revert of {part.index}", part, commit, branch, None)
    await flight.require_action(engine, OPEN, part, commit)
    plan = (
        f"Takes back {part.merged}, which was merged for this task and is not well where it was deployed."
    )
    related = (part.url,) if part.url else ()
    account = Account(flight.task.id, plan, None, None, await flight.world.journal_root(), related)
    wanted = Wanted(
        branch, part.branch, "Take back a change that is not well", pull_request_body(account, "revert")
    )
    return await in_thread(open_once, flight.step(part, "revert"), wanted)
