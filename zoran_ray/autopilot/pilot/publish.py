"""From proven changes to a branch and a pull request of each: tested to pull request open."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from zoran_ray.autopilot.forge import (
    Account,
    Wanted,
    comment_once,
    note,
    open_once,
    pull_request_body,
    pull_request_title,
)
from zoran_ray.autopilot.git import Repository
from zoran_ray.autopilot.pilot.asides import GaveUp
from zoran_ray.autopilot.pilot.flight import Checkout, Flight
from zoran_ray.autopilot.pilot.part import Part
from zoran_ray.autopilot.steps import once
from zoran_ray.autopilot.task import State
from zoran_ray.batch.threads import in_thread
from zoran_ray.errors import NoPullRequests
from zoran_ray.policy import DIFF_OPTIONS, Decision

PUSH, OPEN, COMMENT = "git.push", "github.open_pr", "github.comment"
"""Names of the actions, as policies have them."""

Json = Mapping[str, Any]


def branch_of(flight: Flight) -> str:
    """Our branch, in every repository."""
    return f"zoran/{flight.task.id}"


async def push(flight: Flight) -> State:
    """Each change stands on our branch of its remote.

    Raises:
        AwaitsPerson: The policy wants a person to see a path, or the push.
        PermissionDenied: The policy refuses it.
        GitError: Somebody moved the branch, or the remote does not take it.
    """
    for part in flight.waiting():
        if part.pushed != part.commit:
            checkout = await flight.checkout(part)
            # The policy of this moment has the last word: it may be stricter than when the change was made.
            judged = await in_thread(_judged, part, checkout)
            await flight.require(judged, "paths", part, part.commit)
            await flight.require_action(checkout.engine, PUSH, part, part.commit)
            step = f"push {part.round} of {part.index}"
            await push_once(flight, step, part, part.commit, branch_of(flight), part.pushed)
            await flight.put(replace(part, pushed=part.commit))
    return State.PUSHED


async def open_pulls(flight: Flight) -> State:
    """Each change has a pull request. Raises: As `push`; GaveUp: The remote knows none."""
    for part in flight.waiting():
        if part.number is None:
            wanted = await _wanted(flight, part)
            engine = (await flight.checkout(part)).engine
            await flight.require_action(engine, OPEN, part, part.commit)
            said = engine.decide_text(f"{wanted.title}\n{wanted.body}", "the pull request")
            await flight.require(said, "text", part, part.commit)
            try:
                number, url = await in_thread(open_once, flight.step(part, "pull request"), wanted)
            except NoPullRequests as error:
                raise GaveUp(error.code, error.message) from None
            await flight.put(replace(part, number=number, url=url))
            await flight.held.note("pull_request", {"repository": part.index, "url": url})
    await _refer(flight)
    return State.PR_OPEN


async def push_once(
    flight: Flight, step: str, part: Part, commit: str, branch: str, expected: str | None
) -> None:
    """Lets a branch stand at a commit, once. Args: step: Its name; expected: Where it stands."""
    repository = flight.repository(part.remote)
    intent = {"commit": commit, "branch": branch, "expected": expected}
    await in_thread(_push, flight, repository, step, intent)


def _push(flight: Flight, repository: Repository, step: str, intent: Json) -> None:
    def look_up(meant: Json) -> Json | None:
        there = repository.remote_commit(meant["branch"])
        return {"commit": there} if there == meant["commit"] else None

    def act(meant: Json) -> Json:
        repository.push(meant["commit"], meant["branch"], meant["expected"])
        return {"commit": meant["commit"]}

    once(flight.held.tasks, flight.held.lease, step, intent, look_up, act)


def _judged(part: Part, checkout: Checkout) -> Decision:
    return checkout.engine.decide_diff(checkout.repository.diff_as(part.base, part.commit, DIFF_OPTIONS))


async def _wanted(flight: Flight, part: Part) -> Wanted:
    assert part.plan is not None
    assert part.change is not None
    related = [each.url for each in flight.changed() if each.url and each.index < part.index]
    account = Account(
        flight.task.id, part.plan.text, part.change.evidence, part.confidence,
        await flight.world.journal_root(), related,
    )  # fmt: skip
    title = pull_request_title(part.plan.title)
    return Wanted(branch_of(flight), part.branch, title, pull_request_body(account))


async def _refer(flight: Flight) -> None:
    """Lets earlier pull requests know of later ones, where the policy allows comments without a person."""
    parts = flight.changed()
    for part in parts[:-1]:
        if part.merged is not None or not part.number:
            continue
        decision = (await flight.checkout(part)).engine.decide_action(COMMENT)
        if await flight.passes(decision, f"action:{COMMENT}", part, part.commit):
            pages = [each.url for each in parts if each.index != part.index]
            lines = "\n".join(f"- <{page}>" for page in pages)
            text = note(
                flight.task.id, "related", f"Goes with these, to be merged in this order:\n\n{lines}"
            )
            await in_thread(comment_once, flight.step(part, "related"), part.number, text)
