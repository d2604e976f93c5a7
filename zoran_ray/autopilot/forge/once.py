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
class ForgeStep:
    """One step of a task on a forge, by the worker that has the lease. `name` is unique within the task."""

    tasks: Tasks
    lease: Lease
    forge: Forge
    name: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """A pull request that is to be there. The first line of `body` is its marker."""

    head: str
    base: str
    title: str
    body: str


def open_once(step: ForgeStep, wanted: Wanted) -> tuple[int, str]:
    """Opens a pull request.

    Returns:
        Its number and its page.

    Raises:
        LeaseLost: Another worker has the task.
        ZoranError: As `Forge.open_pull_request`; try the step again.
    """
    intent = {"head": wanted.head, "base": wanted.base, "title": wanted.title, "body": wanted.body}

    def look_up(meant: Json) -> Json | None:
        found = step.forge.find_pull_request(meant["head"], meant["body"].partition("\n")[0])
        return {"number": found.number, "url": found.url} if found else None

    def act(meant: Json) -> Json:
        opened = step.forge.open_pull_request(meant["head"], meant["base"], meant["title"], meant["body"])
        return {"number": opened.number, "url": opened.url}

    result = once(step.tasks, step.lease, step.name, intent, look_up, act)
    return result["number"], result["url"]


def merge_once(step: ForgeStep, number: int, tested: Commits, method: MergeMethod) -> str:
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
        pull = step.forge.get(meant["number"])
        if pull.state is not PullState.MERGED:
            return None
        if pull.head_commit != meant["head"]:
            raise PullRequestMoved("Somebody merged another head than the one that was tested.")
        return {"commit": pull.merged_commit}

    def act(meant: Json) -> Json:
        refuse_unmet(step.forge.get(meant["number"]), Commits(meant["head"], meant["base"]))
        commit = step.forge.merge(meant["number"], meant["head"], MergeMethod(meant["method"]))
        return {"commit": commit}

    commit: str = once(step.tasks, step.lease, step.name, intent, look_up, act)["commit"]
    return commit


def comment_once(step: ForgeStep, number: int, text: str) -> str:
    """Says something below a pull request. Args: text: Begins with its marker. Returns: Its page."""

    def look_up(meant: Json) -> Json | None:
        found = step.forge.find_comment(meant["number"], meant["text"].partition("\n")[0])
        return {"url": found} if found else None

    def act(meant: Json) -> Json:
        return {"url": step.forge.comment(meant["number"], meant["text"])}

    intent = {"number": number, "text": text}
    url: str = once(step.tasks, step.lease, step.name, intent, look_up, act)["url"]
    return url


def close_once(step: ForgeStep, number: int) -> PullState:
    """Closes a pull request. Returns: Where it stood afterwards: `merged` where somebody was faster."""

    def look_up(meant: Json) -> Json | None:
        state = step.forge.get(meant["number"]).state
        return None if state is PullState.OPEN else {"state": state}

    def act(meant: Json) -> Json:
        return {"state": step.forge.close(meant["number"]).state}

    return PullState(once(step.tasks, step.lease, step.name, {"number": number}, look_up, act)["state"])
