"""Routes about routing: scores for answers, why a choice would fall, what has been learned."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from fastapi import FastAPI, Request

from serve_apps.gateway.agents import AgentRouter
from serve_apps.gateway.door import Door
from serve_apps.gateway.explanation import explanation
from serve_apps.gateway.page_request import document_of, key_of
from serve_apps.gateway.router import Router
from zoran_ray import wire
from zoran_ray.errors import InvalidRequest
from zoran_ray.messages import KeyInfo
from zoran_ray.offers import AGENTS, AUTO
from zoran_ray.routing.reports import Scored
from zoran_ray.settings import ServerSettings
from zoran_ray.wire import Endpoint

Score = Callable[[Scored], Awaitable[str]]
State = Callable[[], Awaitable[dict[str, Any]]]


def add_routing_pages(
    app: FastAPI,
    door: Door,
    router: Router,
    settings: ServerSettings,
    score: Score,
    state: State,
    roles: AgentRouter | None = None,
) -> None:
    """Add the routes to `app`.

    Args:
        door: Who may ask.
        score: Gives a request's score to the Resonator; says whether it counted.
        state: Asks the Resonator what it has learned.
        roles: Chooses among agents, where there are some.
    """
    limits = wire.Limits(
        max_depth=settings.max_json_depth, max_choices=settings.max_choices, fetched_for=AGENTS
    )

    @app.post("/v1/feedback")
    async def feedback(request: Request) -> dict[str, object]:
        key = key_of(door, request)
        scored = _scored(await document_of(request, settings), key)
        told = {"request_id": scored.request_id, "score": scored.score, "status": await score(scored)}
        return {"object": "feedback", **told}

    @app.post("/v1/route/explain")
    async def explain(request: Request) -> dict[str, object]:
        key, document = key_of(door, request), await document_of(request, settings)
        asked = roles if document.get("model") == AGENTS else None
        named = {**document, "model": AGENTS if asked else AUTO}
        body = wire.parse(orjson.dumps(named), Endpoint.CHAT_COMPLETIONS, limits)
        return explanation(asked or router, body, key)

    @app.get("/v1/routing/state")
    async def routing_state(request: Request) -> dict[str, object]:
        key_of(door, request)
        return {"object": "routing.state", **router.rows(), **await state()}


def _scored(document: dict[str, Any], key: KeyInfo) -> Scored:
    """What a body says. Raises: InvalidRequest: A field is unknown, missing or not what it should be."""
    if unknown := sorted(document.keys() - {"request_id", "score", "comment"}):
        name = unknown[0][:64]
        raise InvalidRequest(
            f"'{name}' is no field of feedback; there are request_id, score and comment.", param=name
        )
    comment = document.get("comment") or ""
    if not isinstance(comment, str):
        raise InvalidRequest("'comment' must be a string.", param="comment")
    return Scored(
        request_id=document.get("request_id", ""),
        score=document.get("score"),  # type: ignore[arg-type] # it checks for itself
        key_id=key.key_id,
        at=time.time(),
        comment_chars=len(comment),
    )
