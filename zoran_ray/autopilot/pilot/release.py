"""Deploys what was merged and watches it: merged to healthy, or to rolling back."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from zoran_ray.autopilot.deploy.deployer import Deployer, Health, Release
from zoran_ray.autopilot.pilot.asides import AwaitsPerson, GaveUp
from zoran_ray.autopilot.pilot.flight import Flight, reasons_of
from zoran_ray.autopilot.pilot.part import Part
from zoran_ray.autopilot.steps import once
from zoran_ray.autopilot.task import State
from zoran_ray.batch.threads import in_thread
from zoran_ray.errors import DeployRefused
from zoran_ray.policy import DeployFacts

Json = Mapping[str, Any]


async def deploy(flight: Flight) -> State:
    """What was merged is on its way.

    Raises:
        AwaitsPerson: A person has to allow it.
        GaveUp: Nobody knows the target.
        ZoranError: The target failed.
    """
    deployer, part = target_of(flight), deployed_part(flight)
    assert part.merged is not None
    await _require_allowed(flight, part, deployer)
    if "release" not in flight.task.facts:
        # Written down before anything is done: afterwards nobody can tell what was there before.
        before = await in_thread(deployer.current)
        meant = {"target": flight.errand.deploy, "commit": part.merged, "before": before and asdict(before)}
        await flight.held.learn({"release": meant})
    release = flight.task.facts["release"]
    if "made" not in release:
        made = await in_thread(_deploy, flight, deployer, str(release["commit"]))
        until = flight.held.tasks.now() + flight.settings.health_s
        await flight.held.learn({"release": {**release, "made": made, "until": until}})
    return State.DEPLOYED


async def watch(flight: Flight) -> State:
    """Healthy, or to be rolled back: what is not healthy in its time, and what somebody wants to end.

    Raises:
        AwaitsPerson: The target does not tell, or something else runs there.
        ZoranError: The target failed.
    """
    deployer, facts = target_of(flight), flight.task.facts["release"]
    try:
        health = await settled_health(flight, deployer, Release(**facts["made"]), facts["until"])
    except DeployRefused as refused:
        # Another deployment may have taken its place: what is rolled back then is somebody else's.
        raise AwaitsPerson("deploy", refused.message, None) from None
    await flight.held.note("health", {"target": facts["target"], "health": health})
    return State.HEALTHY if health is Health.HEALTHY else State.ROLLING_BACK


async def settled_health(flight: Flight, deployer: Deployer, release: Release, until: float) -> Health:
    """How a release is when that is known; pending where its time is over or somebody wants its end.

    Args:
        until: Unix time in seconds.
    """
    while True:
        health = await in_thread(deployer.health, release)
        over = flight.held.tasks.now() >= until or flight.task.cancelling
        if health is not Health.PENDING or over:
            return health
        await flight.rest(flight.settings.poll_s)


def target_of(flight: Flight) -> Deployer:
    """The place that the task names. Raises: GaveUp: Nobody knows it."""
    deployer = flight.world.deployers.get(flight.errand.deploy or "")
    if deployer is None:
        raise GaveUp("no_target", "The task's target is not known here any more. Configure it, and resume.")
    return deployer


def deployed_part(flight: Flight) -> Part:
    """The repository that is deployed: the last one changes with all others in place."""
    return flight.changed()[-1]


def marker_of(flight: Flight, act: str) -> str:
    """By what an act on a target is found again."""
    return f"zoran-{flight.task.id}-{act}"


async def _require_allowed(flight: Flight, part: Part, deployer: Deployer) -> None:
    engine = (await flight.checkout(part)).engine
    assert part.merged is not None
    people = len(flight.approvers("deploy", part.merged))
    target = flight.errand.deploy or ""
    facts = DeployFacts(flight.mode, target, part.confidence, people, deployer.reversible)
    decision = engine.decide_deploy(facts)
    if not await flight.passes(decision, "deploy", part, part.merged):
        raise AwaitsPerson("deploy", reasons_of(decision), part.merged)


def _deploy(flight: Flight, deployer: Deployer, commit: str) -> Json:
    def look_up(meant: Json) -> Json | None:
        found = deployer.find(meant["commit"], meant["marker"])
        return asdict(found) if found else None

    def act(meant: Json) -> Json:
        return asdict(deployer.deploy(meant["commit"], meant["marker"]))

    intent = {"commit": commit, "marker": marker_of(flight, "deploy")}
    return once(flight.held.tasks, flight.held.lease, "deploy", intent, look_up, act)
