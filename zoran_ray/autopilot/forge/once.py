"""What is done on a forge once, whatever ends when: each act has a look-up that finds it again.

A process that is killed leaves an intent; the next one asks the forge before it acts. What a forge itself
takes twice (a comment) carries a marker; what it does not (a pull request, a merge) is refused by it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zoran_ray.autopilot.forge.forge import Forge, MergeMethod, PullState
from zoran_ray.autopilot.forge.gate import Commits, refuse_unmet
from zoran_ray.autopilot.steps import once
from zoran_ray.autopilot.tasks import Lease, Tasks
from zoran_ray.errors import PullRequestMoved

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Work:
    """Who does it: a task's worker, on a forge. `step` names the step, unique within the task."""

    tasks: Tasks
    lease: Lease
    forge: Forge
    step: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """A pull request that is to be there. The first line of `body` is its marker."""

    head: str
    base: str
    title: str
    body: str


def open_once(work: Work, wanted: Wanted) -> tuple[int, str]:
    """Opens a pull request.

    Returns:
        Its number and its page.

    Raises:
        LeaseLost: Another worker has the task.
        ZoranError: As `Forge.open_pull_request`; try the step again.
    """
    intent = {"head": wanted.head, "base": wanted.base, "title": wanted.title, "body": wanted.body}

    def look_up(meant: Json) -> Json | None:
        found = work.forge.find_pull_request(meant["head"], meant["body"].partition("\n")[0])
        return {"number": found.number, "url": found.url} if found else None

    def act(meant: Json) -> Json:
        opened = work.forge.open_pull_request(meant["head"], meant["base"], meant["title"], meant["body"])
        return {"number": opened.number, "url": opened.url}

    result = once(work.tasks, work.lease, work.step, intent, look_up, act)
    return result["number"], result["url"]


def merge_once(work: Work, number: int, tested: Commits, method: MergeMethod) -> str:
    """Merges a pull request whose head and base are still what was tested.

    A base that moves between our last look and the merge is seen by the forge alone, and by it only where
    the branch's rules ask for branches that are up to date: compare the merge's first parent afterwards.

    Returns:
        The commit that the merge made.

    Raises:
        PullRequestMoved: Head or base is not what was tested, or another head was merged.
        LeaseLost: Another worker has the task.
        ZoranError: As `Forge.merge`; try the step again.
    """
    intent = {"number": number, "head": tested.head, "base": tested.base, "method": method.value}

    def look_up(meant: Json) -> Json | None:
        pull = work.forge.get(meant["number"])
        if pull.state is not PullState.MERGED:
            return None
        if pull.head_commit != meant["head"]:
            raise PullRequestMoved("Somebody merged another head than the one that was tested.")
        return {"commit": pull.merged_commit}

    def act(meant: Json) -> Json:
        refuse_unmet(work.forge.get(meant["number"]), Commits(meant["head"], meant["base"]))
        commit = work.forge.merge(meant["number"], meant["head"], MergeMethod(meant["method"]))
        return {"commit": commit}

    commit: str = once(work.tasks, work.lease, work.step, intent, look_up, act)["commit"]
    return commit


def comment_once(work: Work, number: int, text: str) -> str:
    """Says something below a pull request. Args: text: Begins with its marker. Returns: Its page."""

    def look_up(meant: Json) -> Json | None:
        found = work.forge.find_comment(meant["number"], meant["text"].partition("\n")[0])
        return {"url": found} if found else None

    def act(meant: Json) -> Json:
        return {"url": work.forge.comment(meant["number"], meant["text"])}

    intent = {"number": number, "text": text}
    url: str = once(work.tasks, work.lease, work.step, intent, look_up, act)["url"]
    return url


def close_once(work: Work, number: int) -> PullState:
    """Closes a pull request. Returns: Where it stood afterwards: `merged` where somebody was faster."""

    def look_up(meant: Json) -> Json | None:
        state = work.forge.get(meant["number"]).state
        return None if state is PullState.OPEN else {"state": state}

    def act(meant: Json) -> Json:
        return {"state": work.forge.close(meant["number"]).state}

    return PullState(once(work.tasks, work.lease, work.step, {"number": number}, look_up, act)["state"])
