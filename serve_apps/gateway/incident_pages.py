"""Where incidents are reported: `/v1/incidents/sentry`, for whoever signs with the operator's secret."""

import asyncio
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request

from serve_apps.gateway.door import Door
from serve_apps.gateway.incoming import Incoming
from serve_apps.gateway.page_request import body_of
from serve_apps.gateway.task_plans import AskTasks
from zoran_ray.api_key import ApiKey
from zoran_ray.autopilot.sentry import MOST_BODY_BYTES, RESOURCE, SIGNATURE, Incident, read_webhook
from zoran_ray.sentry_projects import SentryProject, SentrySettings
from zoran_ray.settings import ServerSettings

_HEADERS = (SIGNATURE, RESOURCE)


def add_incident_pages(
    app: FastAPI, door: Door, ask: AskTasks, sentry: SentrySettings, settings: ServerSettings
) -> None:
    """Add the route to `app`, if there is anything that may open a task.

    Args:
        door: Whose the key of a project is.
        ask: Who has the tasks.
        sentry: Which projects are whose.
    """
    if (secret_file := sentry.secret_file) is None:
        return

    @app.post("/v1/incidents/sentry")
    async def incident(request: Request) -> dict[str, object]:
        incoming = Incoming(request.scope)
        body = await body_of(request, settings, MOST_BODY_BYTES)
        secret = await asyncio.to_thread(_secret, secret_file)
        headers = {name: incoming.headers.get(name.encode(), b"").decode("latin-1") for name in _HEADERS}
        found = read_webhook(body, headers, secret)
        project = sentry.projects.get(found.project) if found else None
        if found is None or project is None:
            return {"object": "incident", "task_id": None}
        key = door.known(project.key_id)
        task = await ask("start", key.tenant, key.key_id, _fields(found, project))
        return {"object": "incident", "task_id": task.id}


def _secret(path: Path) -> bytes:
    """Read for each webhook, so that a new one is used at once. Raises: ConfigError."""
    return ApiKey.from_file(path).header()


def _fields(incident: Incident, project: SentryProject) -> dict[str, Any]:
    """What a task is asked for: it advises, and an issue that is reported again opens no second one."""
    place = {"repo_url": project.repo_url} if project.repo_url else {"repo_path": str(project.repo_path)}
    return {
        **place,
        "mode": "advisor",
        "message": incident.message,
        "known": incident.known,
        "once": f"sentry:{incident.project}:{incident.issue}",
    }
