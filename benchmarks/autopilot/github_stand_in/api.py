"""What the stand-in answers to each request about a repository. Knows no connection."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.autopilot.github_stand_in.faults import Reply
from benchmarks.autopilot.github_stand_in.hub import Hosted, Hub
from benchmarks.autopilot.github_stand_in.merging import merge, mergeable
from benchmarks.autopilot.github_stand_in.records import Pull, User
from benchmarks.autopilot.github_stand_in.shapes import Shapes

DOCUMENTATION = "https://docs.github.com/rest"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that somebody may make.

    Attributes:
        words: What its path holds: `number`, `commit`, `branch`.
        query: The last value of each parameter.
        body: JSON.
    """

    user: User
    hosted: Hosted
    shapes: Shapes
    words: Mapping[str, str]
    query: Mapping[str, str]
    body: Any


Handler = Callable[[Asked], Reply]


def failed(status: int, message: str, *faults: dict[str, Any]) -> Reply:
    """An answer that is none of success."""
    body: dict[str, Any] = {"message": message, "documentation_url": DOCUMENTATION, "status": str(status)}
    return Reply(status, body | ({"errors": list(faults)} if faults else {}))


def not_found() -> Reply:
    """As for everything that is not there, or is not shown."""
    return failed(404, "Not Found")


def answer(
    hub: Hub, origin: str, user: User, method: str, path: str, query: Mapping[str, str], body: Any
) -> Reply:
    """The answer to a request below `/api/v3`."""
    if path == "/user" and method == "GET":
        if user.type == "Bot":
            return failed(403, "Resource not accessible by integration")
        return Reply(200, Shapes(origin, "a/a", "2026-01-01T00:00:00Z").myself(user))
    found = re.fullmatch(r"/repos/([^/]+/[^/]+)(/.*)?", path)
    hosted = hub.repositories.get(found[1].lower()) if found else None
    if found is None or hosted is None:
        return not_found()
    shapes = Shapes(origin, hosted.full_name, hosted.made_at)
    for verb, pattern, handler in _ROUTES:
        words = pattern.fullmatch(found[2] or "")
        if verb == method and words:
            asked = Asked(user, hosted, shapes, words.groupdict(), query, body)
            missing = "number" in asked.words and int(asked.words["number"]) not in hosted.pulls
            return not_found() if missing else handler(asked)
    return not_found()


def _repository(asked: Asked) -> Reply:
    return Reply(200, asked.shapes.repository())


def _listed(asked: Asked) -> Reply:
    state = asked.query.get("state", "open")
    owner = asked.hosted.full_name.partition("/")[0]
    head, base = asked.query.get("head"), asked.query.get("base")
    found = [
        pull
        for pull in reversed(asked.hosted.pulls.values())
        if state in ("all", pull.state)
        and head in (None, f"{owner}:{pull.head}")
        and base in (None, pull.base)
    ]
    rows = [asked.shapes.pull_in_list(pull, asked.hosted.head_commit(pull)) for pull in found]
    return Reply(200, _page(asked, rows))


def _opened(asked: Asked) -> Reply:
    given, hosted = asked.body, asked.hosted
    owner = hosted.full_name.partition("/")[0]
    head, base = given["head"].removeprefix(f"{owner}:"), given["base"]
    for field, branch in (("head", head), ("base", base)):
        if hosted.git.commit_of(branch) is None:
            return _invalid({"resource": "PullRequest", "field": field, "code": "invalid"})
    if any(
        pull.state == "open" and (pull.head, pull.base) == (head, base) for pull in hosted.pulls.values()
    ):
        message = f"A pull request already exists for {owner}:{head}."
        return _invalid({"resource": "PullRequest", "code": "custom", "message": message})
    if hosted.git.contains(hosted.git.commit_of(base) or "", hosted.git.commit_of(head) or ""):
        message = f"No commits between {base} and {head}"
        return _invalid({"resource": "PullRequest", "code": "custom", "message": message})
    pull = hosted.open(asked.user, head, base, given["title"], given.get("body"))
    return Reply(201, _whole(asked, pull))


def _got(asked: Asked) -> Reply:
    return Reply(200, _whole(asked, _pull(asked)))


def _edited(asked: Asked) -> Reply:
    pull, given = _pull(asked), asked.body or {}
    pull.title, pull.body = given.get("title", pull.title), given.get("body", pull.body)
    if given.get("state") == "closed" and pull.state == "open":
        asked.hosted.close(pull)
    elif given.get("state") == "open" and pull.state == "closed":
        if pull.merge_commit:
            return _invalid({"resource": "PullRequest", "field": "state", "code": "invalid"})
        pull.state, pull.closed_at, pull.head_commit = "open", None, None
    return Reply(200, _whole(asked, pull))


def _merged(asked: Asked) -> Reply:
    pull, given = _pull(asked), asked.body or {}
    result = merge(asked.hosted, pull, asked.user, given.get("sha"), given.get("merge_method", "merge"))
    if isinstance(result, str):
        body = {"sha": result, "merged": True, "message": "Pull Request successfully merged"}
        return Reply(200, body)
    return failed(*result)


def _reviews(asked: Asked) -> Reply:
    number = _pull(asked).number
    rows = [
        asked.shapes.review(each, number, asked.hosted.made_at) for each in asked.hosted.reviews[number]
    ]
    return Reply(200, _page(asked, rows))


def _comments(asked: Asked) -> Reply:
    number = _pull(asked).number
    rows = [asked.shapes.comment(each, number) for each in asked.hosted.comments[number]]
    return Reply(200, _page(asked, rows))


def _commented(asked: Asked) -> Reply:
    number = _pull(asked).number
    made = asked.hosted.comment(number, asked.user, asked.body["body"])
    return Reply(201, asked.shapes.comment(made, number))


def _statuses(asked: Asked) -> Reply:
    commit = asked.words["commit"]
    found = asked.hosted.statuses[commit]
    return Reply(200, asked.shapes.statuses(commit, _page(asked, found), len(found)))


def _check_runs(asked: Asked) -> Reply:
    commit = asked.words["commit"]
    found = asked.hosted.check_runs[commit]
    rows = [asked.shapes.check_run(each, commit) for each in _page(asked, found)]
    return Reply(200, {"total_count": len(found), "check_runs": rows})


def _ref(asked: Asked) -> Reply:
    branch = asked.words["branch"]
    commit = asked.hosted.git.commit_of(branch)
    return not_found() if commit is None else Reply(200, asked.shapes.ref(branch, commit))


def _pull(asked: Asked) -> Pull:
    return asked.hosted.pulls[int(asked.words["number"])]


def _whole(asked: Asked, pull: Pull) -> dict[str, Any]:
    return asked.shapes.pull(pull, asked.hosted.head_commit(pull), mergeable(asked.hosted, pull))


def _page(asked: Asked, rows: list[Any]) -> list[Any]:
    size = min(int(asked.query.get("per_page", "30")), 100)
    first = (int(asked.query.get("page", "1")) - 1) * size
    return rows[first : first + size]


def _invalid(fault: dict[str, Any]) -> Reply:
    return failed(422, "Validation Failed", fault)


_NUMBER, _COMMIT = r"(?P<number>\d{1,9})", r"(?P<commit>[0-9a-f]{40})"
_ROUTES: list[tuple[str, re.Pattern[str], Handler]] = [
    (method, re.compile(pattern), handler)
    for method, pattern, handler in (
        ("GET", "", _repository),
        ("GET", "/pulls", _listed),
        ("POST", "/pulls", _opened),
        ("GET", f"/pulls/{_NUMBER}", _got),
        ("PATCH", f"/pulls/{_NUMBER}", _edited),
        ("PUT", f"/pulls/{_NUMBER}/merge", _merged),
        ("GET", f"/pulls/{_NUMBER}/reviews", _reviews),
        ("GET", f"/issues/{_NUMBER}/comments", _comments),
        ("POST", f"/issues/{_NUMBER}/comments", _commented),
        ("GET", f"/commits/{_COMMIT}/status", _statuses),
        ("GET", f"/commits/{_COMMIT}/check-runs", _check_runs),
        ("GET", r"/git/ref/heads/(?P<branch>.+)", _ref),
    )
]
