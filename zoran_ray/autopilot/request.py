"""What a task may be asked for: fields that anybody sent become a request, or an error that names one.

Knows folders and addresses, the policy's modes and the names of targets; no store, no model, no git.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from zoran_ray.autopilot.git import checked_branch
from zoran_ray.autopilot.remote import Whereabouts
from zoran_ray.autopilot.task import MOST_REPOSITORIES, Mode, lowest, mode_of
from zoran_ray.errors import InvalidRequest
from zoran_ray.policy import Policy, for_repository, repository_name

MOST_MESSAGE_CHARS = 32_000
USUAL_MODE = Mode.OPERATOR
"""Where a request names none: a branch and its tests, which nobody has to take."""

_PLACES = ("repo_path", "repo_url", "repositories")
_FIELDS = frozenset(
    {*_PLACES, "message", "mode", "thread_id", "model", "branch", "known", "deploy", "once", "wait_s"}
)
"""`wait_s` is read by whoever answers the client."""
_OF_REPOSITORY = frozenset({"repo_path", "repo_url", "branch"})
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,199}")
_THREAD = re.compile(r"[A-Za-z0-9_]{1,64}")
_ONCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that may be worked on, as far as its fields tell.

    Attributes:
        repositories: `{"remote", "branch"}` of each; empty where the thread's are meant.
        mode: How far the task may go.
        mode_asked: How far it was to go.
        thread: The conversation that it goes on with; None for a new one.
        deploy: Name of the target; None for none.
        once: What the owner calls this request, so that it opens one task however often it is sent.
    """

    message: str = field(repr=False)
    known: str = field(repr=False)
    repositories: tuple[dict[str, str | None], ...]
    mode: Mode
    mode_asked: Mode
    thread: str | None
    model: str
    deploy: str | None
    once: str | None = None


def read_request(
    fields: Mapping[str, Any], *, places: Whereabouts, policy: Policy, model: str, targets: Collection[str]
) -> Asked:
    """A request out of the fields of a body.

    Args:
        places: Where repositories may be.
        policy: The operator's: a mode is lowered to what it allows, for each of the repositories.
        model: Who is asked where the fields name nobody.
        targets: What can be deployed to.

    Raises:
        InvalidRequest: A field is wrong; `param` is its name.
        PermissionDenied: A repository may not lie there.
    """
    if unknown := sorted(str(name)[:64] for name in fields.keys() - _FIELDS):
        raise _wrong(unknown[0], f"there is no such field; there are {', '.join(sorted(_FIELDS))}")
    thread = _text(fields, "thread_id", _THREAD, "the id of a conversation of yours")
    repositories = _repositories(fields, places, optional=thread is not None)
    asked = mode_of(_mode(fields))
    deploy = _target(fields, targets)
    return Asked(
        _prose(fields, "message", needed=True), _prose(fields, "known"), repositories,
        allowed_mode(asked, policy, repositories), asked, thread,
        _text(fields, "model", _MODEL, "the name of a model; see GET /v1/models") or model, deploy,
        _text(fields, "once", _ONCE, "a name for this request, of letters, digits and ._:-"),
    )  # fmt: skip


def allowed_mode(asked: Mode, policy: Policy, repositories: Collection[Mapping[str, str | None]]) -> Mode:
    """What is asked for, lowered to what the operator's policy allows for every one of the repositories."""
    own = (for_repository(policy, repository_name(str(each["remote"]))) for each in repositories)
    return lowest(asked, Mode(policy.mode_max), *(Mode(each.mode_max) for each in own))


def _repositories(
    fields: Mapping[str, Any], places: Whereabouts, *, optional: bool
) -> tuple[dict[str, str | None], ...]:
    given = [name for name in _PLACES if fields.get(name) is not None]
    if not given and optional:
        return ()
    if len(given) != 1:
        raise _wrong(
            given[1] if given else "repo_path",
            "name one of repo_path, repo_url and repositories" + (", not more" if given else ""),
        )
    if given[0] != "repositories":
        return (_repository({name: fields.get(name) for name in _OF_REPOSITORY}, places),)
    rows = fields["repositories"]
    if fields.get("branch") is not None:
        raise _wrong("branch", "name it beside each of the repositories")
    if not isinstance(rows, list) or not 1 <= len(rows) <= MOST_REPOSITORIES:
        raise _wrong("repositories", f"give a list of 1 to {MOST_REPOSITORIES}")
    found = tuple(_repository(row, places, f"repositories[{place}].") for place, row in enumerate(rows))
    if len({each["remote"] for each in found}) != len(found):
        raise _wrong("repositories", "each stands there once")
    return found


def _repository(row: Any, places: Whereabouts, prefix: str = "") -> dict[str, str | None]:
    if not isinstance(row, Mapping) or row.keys() - _OF_REPOSITORY:
        raise _wrong(
            prefix.rstrip("."), "give an object with repo_path or repo_url, and branch if you like"
        )
    given = [name for name in ("repo_path", "repo_url") if row.get(name) is not None] or ["repo_path"]
    param, text = f"{prefix}{given[0]}", row.get(given[0])
    if len(given) != 1 or not isinstance(text, str):
        raise _wrong(param, "give one repo_path or repo_url, as text")
    remote = (places.path if given[0] == "repo_path" else places.url)(text, param)
    branch = row.get("branch")
    if branch is not None:
        try:
            branch = checked_branch(branch if isinstance(branch, str) else "")
        except InvalidRequest as error:
            raise InvalidRequest(error.message, param=f"{prefix}branch") from None
    return {"remote": remote, "branch": branch}


def _prose(fields: Mapping[str, Any], name: str, *, needed: bool = False) -> str:
    text = fields.get(name)
    if text is None and not needed:
        return ""
    if not isinstance(text, str) or (needed and not text.strip()):
        raise _wrong(name, "say in words what is wrong" if needed else "give text")
    if len(text) > MOST_MESSAGE_CHARS:
        raise _wrong(name, f"it has {len(text)} characters; {MOST_MESSAGE_CHARS} are the most")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _wrong(name, "it is no valid Unicode") from None
    return text


def _text(fields: Mapping[str, Any], name: str, form: re.Pattern[str], what: str) -> str | None:
    value = fields.get(name)
    if value is None or (isinstance(value, str) and form.fullmatch(value)):
        return value
    raise _wrong(name, f"give {what}")


def _mode(fields: Mapping[str, Any]) -> str:
    value = fields.get("mode")
    return USUAL_MODE if value is None else str(value)


def _target(fields: Mapping[str, Any], targets: Collection[str]) -> str | None:
    name = fields.get("deploy")
    if name is None or (isinstance(name, str) and name in targets):
        return name
    known = ", ".join(sorted(targets)) or "none; the operator names them in autopilot.targets"
    raise _wrong("deploy", f"there is no such target. There are: {known}")


def _wrong(param: str, what_to_do: str) -> InvalidRequest:
    return InvalidRequest(f"'{param}' is wrong: {what_to_do}.", param=param)
