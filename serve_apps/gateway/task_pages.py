"""Routes about tasks, for the tenant of the key: `/v1/chat` begins one, `/v1/tasks` tells of them."""

import logging
import time
from collections.abc import AsyncGenerator
from typing import Annotated

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse
from pydantic import Field

from serve_apps.gateway.batch_rows import list_row, page_limit
from serve_apps.gateway.door import Door
from serve_apps.gateway.memory_fields import Fields, read_fields
from serve_apps.gateway.page_request import document_of, key_of
from serve_apps.gateway.task_plans import AskTasks, Plans, wait_of
from serve_apps.gateway.task_rows import (
    STILL_HERE,
    end_frame,
    event_frame,
    planned_task_row,
    task_row,
    whole_task_row,
)
from serve_apps.gateway.task_trace import task_trace
from zoran_ray.autopilot import Task
from zoran_ray.errors import InvalidRequest, Overloaded, ZoranError
from zoran_ray.settings import ServerSettings

log = logging.getLogger("zoran.gateway")

WAIT_S = 10.0
"""Longest silence of a stream."""
MOST_STREAMS = 64
"""Of one gateway."""
_LARGEST_PLACE = 2**53 - 1


class Approval(Fields):
    """What is approved; what is not said is what the task waits for now."""

    what: Annotated[str, Field(max_length=100)] | None = None
    commit: Annotated[str, Field(max_length=64)] | None = None


def add_task_pages(app: FastAPI, door: Door, ask: AskTasks, settings: ServerSettings) -> None:
    """Add the routes to `app`.

    Args:
        door: Who may ask.
        ask: Who has the tasks.
        settings: Longest stream, among others.
    """
    _add_views(app, door, ask, Streams(ask, settings.request_timeout_s))
    _add_deeds(app, door, ask, settings)


def _add_views(app: FastAPI, door: Door, ask: AskTasks, streams: "Streams") -> None:
    """What tells of tasks."""

    def owner_of(request: Request) -> str:
        return key_of(door, request).tenant

    @app.get("/v1/tasks")
    async def tasks(request: Request) -> dict[str, object]:
        owner, query = owner_of(request), request.query_params
        found, more = await ask(
            "tasks", owner, query.get("thread_id"), query.get("after"), page_limit(query, 20, 100)
        )
        return list_row([task_row(task) for task in found], more)

    @app.get("/v1/tasks/{task_id}")
    async def task(task_id: str, request: Request) -> dict[str, object]:
        return whole_task_row(await ask("task", owner_of(request), task_id))

    @app.get("/v1/tasks/{task_id}/events")
    async def events(task_id: str, request: Request) -> Response:
        owner, after = owner_of(request), _place(request)
        known = await ask("task", owner, task_id)
        if known.finished and not await ask("events", owner, task_id, after, 0.0):
            # Source: HTML standard, "Server-sent events": with this, nobody comes again.
            return Response(status_code=204)
        return streams.of(known, after)

    @app.get("/v1/tasks/{task_id}/trace")
    async def trace(task_id: str, request: Request) -> Response:
        found, calls = await ask("trace", owner_of(request), task_id)
        return Response(orjson.dumps(task_trace(found, calls)), media_type="application/json")

    @app.get("/v1/tasks/{task_id}/diff")
    async def diff(task_id: str, request: Request) -> Response:
        text = await ask("diff", owner_of(request), task_id)
        return PlainTextResponse(text, media_type="text/x-diff; charset=utf-8")


def _add_deeds(app: FastAPI, door: Door, ask: AskTasks, settings: ServerSettings) -> None:
    """What begins tasks, and moves them."""

    plans = Plans(ask)

    @app.post("/v1/chat")
    async def start(request: Request) -> dict[str, object]:
        key = key_of(door, request)
        asked = await document_of(request, settings, may_be_empty=True)
        wait_s = min(wait_of(asked), settings.request_timeout_s)
        task = await ask("start", key.tenant, key.key_id, asked)
        return planned_task_row(await plans.awaited(task, wait_s))

    @app.post("/v1/tasks/{task_id}/approve")
    async def approve(task_id: str, request: Request) -> dict[str, object]:
        key = key_of(door, request)
        told = read_fields(Approval, await document_of(request, settings, may_be_empty=True))
        return task_row(await ask("approve", key.tenant, task_id, key.name, told.what, told.commit))

    @app.post("/v1/tasks/{task_id}/cancel")
    async def cancel(task_id: str, request: Request) -> dict[str, object]:
        return task_row(await ask("cancel", key_of(door, request).tenant, task_id))

    @app.post("/v1/tasks/{task_id}/resume")
    async def resume(task_id: str, request: Request) -> dict[str, object]:
        return task_row(await ask("resume", key_of(door, request).tenant, task_id))


class Streams:
    """Events as they happen, for some clients at a time.

    Args:
        ask: Who has the tasks.
        most_s: Longest stream, in seconds; whoever wants more comes again with `Last-Event-ID`.
        wait_s: Longest silence, in seconds.
    """

    def __init__(self, ask: AskTasks, most_s: float, wait_s: float = WAIT_S) -> None:
        self._ask = ask
        self._most_s = most_s
        self._wait_s = wait_s
        self._open = 0

    def of(self, task: Task, after: int) -> StreamingResponse:
        """The events of a task after a place. Raises: Overloaded: Too many listen already."""
        if self._open >= MOST_STREAMS:
            raise Overloaded("Too many clients listen to tasks. Ask GET /v1/tasks/{id}.", retry_after_s=5.0)
        return StreamingResponse(
            self._frames(task.owner, task.id, after), media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )  # fmt: skip

    async def _frames(self, owner: str, task_id: str, after: int) -> AsyncGenerator[bytes, None]:
        self._open += 1
        ends = time.monotonic() + self._most_s
        try:
            yield STILL_HERE  # the head goes out at once
            while (left_s := ends - time.monotonic()) > 0:
                # In this order: what happened before it was finished is then told.
                task = await self._ask("task", owner, task_id)
                found = await self._ask("events", owner, task_id, after, min(self._wait_s, left_s))
                for event in found:
                    yield event_frame(event)
                    after = event.place
                if not found and task.finished:
                    yield end_frame(task)
                    return
                if not found:
                    yield STILL_HERE
        except ZoranError as error:
            # The head has gone; whoever wants more comes again.
            log.info("a stream of events ended early: %s", error.code)
        finally:
            self._open -= 1


def _place(request: Request) -> int:
    """Where a client goes on. Raises: InvalidRequest: That is no place."""
    told = request.headers.get("last-event-id") or request.query_params.get("after") or "0"
    if told.isascii() and told.isdigit() and len(told) < 17 and int(told) <= _LARGEST_PLACE:
        return int(told)
    raise InvalidRequest("`Last-Event-ID` is the id of an event of this task.", param="after")
