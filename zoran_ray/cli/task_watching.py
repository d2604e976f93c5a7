"""A task as it goes on, at the terminal: each event one line on stderr. Knows the client alone."""

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import typer

from zoran_ray.cli.output import print_json, printable, styled
from zoran_ray.errors import Unavailable, Unreachable, UpstreamError

if TYPE_CHECKING:
    from zoran_ray.client import Client

AWAY_S = 60.0
"""How long a server that is being restarted is waited for."""
_PAUSE_S = 0.5


def follow(client: "Client", task_id: str, as_json: bool) -> Any:
    """The task once it is finished or waits for a person; what happens until then is shown.

    Args:
        task_id: Fit for an address.
        as_json: Each event as one line on stdout instead.

    Raises:
        ZoranError: There is no such task, or no server for too long.
    """
    watching = _Watching(client, f"tasks/{task_id}/events", as_json)
    away_since: float | None = None
    while True:
        try:
            all_told = watching.show()
            task = client.ask("GET", f"tasks/{task_id}")
            away_since = None
            if (task["finished"] and all_told) or watching.waits_with(task):
                return task
        except (UpstreamError, Unavailable, Unreachable):
            away_since = away_since or time.monotonic()
            if time.monotonic() - away_since > AWAY_S:
                raise
        time.sleep(_PAUSE_S)


class _Watching:
    """Events of one task, each shown once."""

    def __init__(self, client: "Client", path: str, as_json: bool) -> None:
        self._client = client
        self._path = path
        self._as_json = as_json
        self._began: float | None = None
        self._after = 0
        self._asked_at: float | None = None

    def show(self) -> bool:
        """Shows events until the task waits for a person, or none come. Returns: Whether that was all."""
        before = self._after
        with closing(self._client.events(f"{self._path}?after={self._after}")) as events:
            for event in events:
                if "kind" not in event:
                    return True  # the end
                self._after = event["id"]
                self._began = self._began or event["at"]
                _show(event, self._as_json, event["at"] - self._began)
                waits = event["kind"] == "transition" and event["data"]["to"] == "awaiting_human"
                self._asked_at = event["at"] if waits else None
                if waits:
                    return False
        return self._after == before

    def waits_with(self, task: Any) -> bool:
        """Whether the last event shown is the one since which the task waits for a person."""
        waits = task["state"] == "awaiting_human" and self._asked_at is not None
        return waits and int(self._asked_at or 0) == task["updated_at"]


def _show(event: Any, as_json: bool, took_s: float) -> None:
    if as_json:
        print_json(event)
        return
    text = printable(event_line(event))
    typer.echo(styled(f"{took_s:6.1f} s  {text}", dim=event["kind"] != "transition"), err=True)


def event_line(event: Any) -> str:
    """An event in one line."""
    data = event["data"]
    if event["kind"] == "transition":
        return f"{data['to']}" if data["from"] is None else f"{data['from']} → {data['to']}"
    told = ", ".join(
        f"{name}: {_brief(value)}" for name, value in data.items() if value not in (None, "", [])
    )
    return f"{event['kind']}  {told}"


def _brief(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 100 else f"{text[:99]}…"
