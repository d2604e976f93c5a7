"""What Sentry tells of an error, out of its webhooks. Knows no task and no repository.

Only what helps to find the fault is taken: title, place, exceptions and frames of stack traces. Of the
user, the request, breadcrumbs, tags and local variables nothing is. All of it comes from whoever could make
the program fail: text to look at, never an instruction.

Source: https://docs.sentry.io/organization/integrations/integration-platform/webhooks/ (the signature
is the HMAC-SHA256 of the body with the client secret), …/webhooks/issue-alerts/ (`event_alert`), /errors/
(`error`), /issues/ (`issue`, which has no stack trace); frames are listed with the newest call last.
"""

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from zoran_ray import wire
from zoran_ray.autopilot.forge.prose import plain, shortened
from zoran_ray.errors import BodyTooLarge, InvalidRequest, Unauthenticated

SIGNATURE = "sentry-hook-signature"
RESOURCE = "sentry-hook-resource"
MOST_BODY_BYTES = 2 * 1024 * 1024
MOST_EXCEPTIONS = 4
"""Of a chain; those that were raised last."""
MOST_FRAMES = 40
"""Of one exception; those that were called last."""
MOST_TRACE_CHARS = 24_000
"""Of all of them together; the end counts."""
_MOST_CHARS = 300
_MOST_DEPTH = 64
_BEGIN = {"event_alert": {"triggered"}, "error": {"created"}, "issue": {"created", "unresolved"}}
"""Actions of each resource by which something is wrong now."""
_PROJECT_OF_EVENT = re.compile(r"/projects/[^/]+/([A-Za-z0-9][A-Za-z0-9_-]{0,99})/")
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
_PAGE = re.compile(r"https://[!-~]{1,500}")


@dataclass(frozen=True, slots=True)
class Incident:
    """An issue of a project.

    Attributes:
        issue: Sentry's id of it.
        project: Slug of the project.
        culprit: Where Sentry sees the fault; empty where it does not.
        url: Its page; empty where there is none.
        trace: Exceptions and their frames, the newest call last; empty where it was not told.
    """

    issue: str
    project: str
    title: str = field(repr=False)
    culprit: str = field(default="", repr=False)
    url: str = ""
    trace: str = field(default="", repr=False)

    @property
    def message(self) -> str:
        """What is wrong, for a task."""
        where = f" (in {self.culprit})" if self.culprit else ""
        return f"An error was reported: {self.title}{where}. Find its cause and propose a fix."

    @property
    def known(self) -> str:
        """What is known of it besides."""
        page = f"Sentry's issue {self.issue} of the project {self.project}" + (
            f": {self.url}" if self.url else ""
        )
        return f"{page}\n\n{self.trace}".strip()


def read_webhook(body: bytes, headers: Mapping[str, str], secret: bytes) -> Incident | None:
    """The incident that a webhook tells of; None where it tells of something else.

    Args:
        headers: With names in small letters.
        secret: The integration's client secret.

    Raises:
        BodyTooLarge: It is longer than `MOST_BODY_BYTES`.
        Unauthenticated: It is not signed with the secret.
        InvalidRequest: It is not as Sentry describes it.
    """
    if len(body) > MOST_BODY_BYTES:
        raise BodyTooLarge(f"A webhook has at most {MOST_BODY_BYTES >> 20} MiB.")
    _refuse_forged(body, headers.get(SIGNATURE, ""), secret)
    said = wire.read(body, max_depth=_MOST_DEPTH)
    resource = headers.get(RESOURCE, "")
    action = said.get("action")
    if not isinstance(action, str) or action not in _BEGIN.get(resource, ()):
        return None
    return _of_issue(said) if resource == "issue" else _of_event(said, resource)


def _refuse_forged(body: bytes, signature: str, secret: bytes) -> None:
    right = hmac.new(secret, body, hashlib.sha256).hexdigest()
    if not secret or not hmac.compare_digest(right.encode(), signature.encode(errors="replace")):
        raise Unauthenticated(
            "This webhook is not signed with our secret. Put the integration's client secret into the file"
            " that autopilot.sentry.secret_file names."
        )


def _of_issue(said: Mapping[str, Any]) -> Incident:
    issue = _object(said, "data", "issue")
    return Incident(
        _matched(issue.get("id"), _ID, "id"),
        _matched(_object(issue, "project").get("slug"), _SLUG, "project"),
        _line(issue.get("title")), _line(issue.get("culprit")),
        _page(issue.get("web_url")) or _page(issue.get("permalink")),
    )  # fmt: skip


def _of_event(said: Mapping[str, Any], resource: str) -> Incident:
    event = _object(said, "data", "event" if resource == "event_alert" else "error")
    # The project itself stands there as a number.
    project = _PROJECT_OF_EVENT.search(str(event.get("url", "")))
    return Incident(
        _matched(event.get("issue_id"), _ID, "issue_id"),
        _matched(project[1] if project else None, _SLUG, "url"),
        _line(event.get("title")), _line(event.get("culprit")), _page(event.get("web_url")),
        _end(list(_trace(event))),
    )  # fmt: skip


def _trace(event: Mapping[str, Any]) -> Iterator[str]:
    for thrown in _rows(_object(event, "exception").get("values"))[-MOST_EXCEPTIONS:]:
        frames = _rows(_object(thrown, "stacktrace").get("frames"))
        if frames:
            yield "Traceback (most recent call last):"
        if len(frames) > MOST_FRAMES:
            yield f"  ({len(frames) - MOST_FRAMES} calls left out)"
        yield from map(_frame, frames[-MOST_FRAMES:])
        yield ": ".join(filter(None, (_line(thrown.get("type")), _line(thrown.get("value")))))


def _end(lines: list[str]) -> str:
    """The last lines, as many as there is room for."""
    kept = len(lines)
    room = MOST_TRACE_CHARS
    while kept and (room := room - len(lines[kept - 1]) - 1) >= 0:
        kept -= 1
    return "\n".join(lines[kept:])


def _frame(frame: Mapping[str, Any]) -> str:
    file = _line(frame.get("filename")) or _line(frame.get("abs_path")) or "?"
    line, function = frame.get("lineno"), _line(frame.get("function"))
    where = f", line {line}" if isinstance(line, int) else ""
    return f'  File "{file}"{where}' + (f", in {function}" if function else "")


def _object(data: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """An object inside; empty where there is none."""
    for name in path:
        found = data.get(name)
        data = found if isinstance(found, dict) else {}
    return data


def _rows(value: Any) -> list[Mapping[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _line(value: Any) -> str:
    """A short text in one line; empty where it is none."""
    return shortened(" ".join(plain(value).split()), _MOST_CHARS) if isinstance(value, str) else ""


def _page(value: Any) -> str:
    return value if isinstance(value, str) and _PAGE.fullmatch(value) else ""


def _matched(value: Any, form: re.Pattern[str], name: str) -> str:
    if isinstance(value, str) and form.fullmatch(value):
        return value
    raise InvalidRequest(f"The webhook's '{name}' is not as Sentry describes it.", param=name)
