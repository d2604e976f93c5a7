"""Whether pull requests may be merged now: what people and checks say, and whether all is as tested."""

import asyncio
from dataclasses import replace

from zoran_ray.autopilot.engineer import commit_message, drafted
from zoran_ray.autopilot.forge import Check, Commits, PullRequest, PullState, same_base, same_head
from zoran_ray.autopilot.pilot.asides import AwaitsPerson, GaveUp
from zoran_ray.autopilot.pilot.beside import is_stale
from zoran_ray.autopilot.pilot.flight import Checkout, Flight, reasons_of
from zoran_ray.autopilot.pilot.part import Part
from zoran_ray.autopilot.task import State
from zoran_ray.batch.threads import in_thread
from zoran_ray.errors import UpstreamError
from zoran_ray.policy import MergeFacts, PolicyEngine


async def gate(flight: Flight) -> State:
    """All pull requests may be merged, or one is to be tested anew. Raises: As `clear`."""
    for part in flight.waiting():
        if not await clear(flight, part):
            return State.EDITED
    return State.GATED


async def clear(flight: Flight, part: Part) -> bool:
    """Whether a pull request may be merged; if not, it is to be tested anew: on another base, or with other
    commits of the repositories that it needs.

    Raises:
        AwaitsPerson: A person has to look.
        GaveUp: It was closed, or the change does not go with the new base.
        ZoranError: The forge or a remote failed.
    """
    if is_stale(flight.parts, part):
        return False
    assert part.number is not None
    pull = await in_thread(flight.forge(part).get, part.number)
    tested = Commits(part.commit, part.base)
    if pull.state is PullState.CLOSED:
        raise GaveUp("closed", "Somebody closed the pull request. Open it again and resume, or leave it.")
    if not same_head(pull, tested):
        await _taken_over(flight, part, pull)
    elif pull.state is PullState.OPEN and not same_base(pull, tested):
        await _again(flight, part)
        return False
    elif pull.state is PullState.OPEN:
        await _judge(flight, part)
    return True


async def _taken_over(flight: Flight, part: Part, pull: PullRequest) -> None:
    """Somebody works on our branch: what stands there was not tested, and is theirs to merge."""
    if pull.state is not PullState.MERGED:
        why = "Somebody moved the head of the pull request after the tests. Merge it by hand, and resume."
        raise AwaitsPerson("merge", why, None)
    if pull.merged_commit is None:
        raise UpstreamError("The forge does not say what the merge has made. Try again.")
    await in_thread(flight.repository(part.remote).fetch, part.branch)  # others are tested with it
    await flight.put(replace(part, merged=pull.merged_commit, by_hand=True))


async def _judge(flight: Flight, part: Part) -> None:
    """Asks the policy, when checks that it requires have ended. Raises: AwaitsPerson."""
    engine = (await flight.checkout(part)).engine
    ends = asyncio.get_running_loop().time() + flight.settings.checks_s
    while True:
        facts, pending = await in_thread(_looked, flight, part, engine)
        if not pending or asyncio.get_running_loop().time() >= ends or flight.task.cancelling:
            break
        await flight.rest(flight.settings.poll_s)
    decision = engine.decide_merge(facts)
    if not await flight.passes(decision, "merge", part, part.commit):
        raise AwaitsPerson("merge", reasons_of(decision), part.commit)


def _looked(flight: Flight, part: Part, engine: PolicyEngine) -> tuple[MergeFacts, bool]:
    """What is known of a pull request with this head and base, and whether required checks still run."""
    forge = flight.forge(part)
    assert part.number is not None
    checks, reviews = forge.checks(part.commit), forge.reviews(part.number, part.commit)
    required = engine.policy.merge.required_checks
    pending = any(checks.get(name, Check.PENDING) is Check.PENDING for name in required)
    # One person may have said so there and here: the larger number counts, not both.
    people = max(len(reviews.approved), len(flight.approvers("merge", part.commit)))
    done = {name: check is Check.SUCCEEDED for name, check in checks.items()}
    return MergeFacts(
        flight.mode, part.confidence, people, True, True, done, len(reviews.objected)
    ), pending


async def _again(flight: Flight, part: Part) -> None:
    """The same change on the base as it is now, to be tested there."""
    if part.round >= flight.settings.rounds:
        raise AwaitsPerson(
            "base", "The base moves faster than the tests run. Merge by hand, or resume later.", None
        )
    old = await flight.checkout(part)
    _, base = await in_thread(old.repository.fetch, part.branch)
    moved = replace(part, base=base, round=part.round + 1, ended="")
    new = await flight.checkout(moved)
    moved = replace(await in_thread(_redraft, flight, moved, new), policy=new.engine.policy_hash)
    await flight.held.note("base_moved", {"repository": part.index, "base": base})
    await flight.move(State.EDITED, moved)


def _redraft(flight: Flight, part: Part, checkout: Checkout) -> Part:
    """Merges the base into our branch: nobody's commits are rewritten, no push is forced."""
    assert part.plan is not None
    assert part.change is not None
    task, author = flight.task, flight.settings.author
    message = commit_message(checkout.engine, part.plan, f"On a newer base.\n\nTask: {task.id}")
    commit = checkout.repository.together(part.commit, part.base, message, author, int(task.created))
    if commit is None:
        why = "Somebody changed the same lines of the base. Mend the pull request by hand, and resume."
        raise AwaitsPerson("base", why, None)
    number = part.change.number
    draft = drafted(checkout.repository, checkout.engine, part.base, commit, message, number)
    if draft.commit is None:
        raise GaveUp("refused", f"The change does not go with the new base. {' '.join(draft.reasons)}")
    return replace(part, attempts=(*part.attempts[:-1], draft))
