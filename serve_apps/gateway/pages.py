"""Everything that is not relayed: model list, health, metrics. OpenAI's error bodies throughout."""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from starlette.exceptions import HTTPException

from serve_apps.gateway.arms import Arms
from serve_apps.gateway.door import Door
from serve_apps.gateway.incoming import Incoming
from serve_apps.gateway.model_rows import model_rows, named
from serve_apps.gateway.page_request import key_of
from serve_apps.gateway.strategies import NONE, Strategies
from zoran_ray.engines.fleet import Fleet
from zoran_ray.errors import MethodNotAllowed, NoReplica, RequestError, RouteNotFound, ZoranError
from zoran_ray.messages import KeyInfo
from zoran_ray.offers import AUTO
from zoran_ray.wire import answer

MetricsText = Callable[[], Awaitable[str]]


def pages(
    fleet: Fleet, arms: Arms, door: Door, metrics: MetricsText, strategies: Strategies = NONE
) -> FastAPI:
    """The application for the routes that ask no model.

    Args:
        fleet: The gateway's view of models and replicas.
        arms: Models of providers, and what the catalogue says of all.
        door: Who may see models and metrics.
        metrics: Gives the whole deployment's Prometheus text.
        strategies: Those that are models.
    """
    # A redirect to the path without its slash would go to whatever host the client named.
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)

    @app.get("/health")
    async def health() -> dict[str, str]:
        """The gateway is alive."""
        return {"status": "ok"}

    @app.get("/ready")
    async def ready() -> dict[str, str]:
        """Every model that should have a replica has one."""
        models = fleet.snapshot.models
        missing = [m.name for m in models.values() if m.min_replicas and not fleet.ready(m.name)]
        # The catalogue may come a moment before the fleet.
        missing += [m.public_name for m in arms.catalogue.models if m.public_name not in models]
        if missing or not (models or arms.catalogue.arms):
            waiting_for = ", ".join(missing) or "the first model"
            raise NoReplica(f"Still waiting for {waiting_for}.", retry_after_s=2.0)
        return {"status": "ready"}

    @app.get("/metrics")
    async def exposition(request: Request) -> Response:
        key_of(door, request)
        return PlainTextResponse(await metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")

    _add_models(app, fleet, arms, door, strategies)
    _speak_openai(app)
    return app


def _add_models(app: FastAPI, fleet: Fleet, arms: Arms, door: Door, strategies: Strategies) -> None:
    """The models that a key may use."""

    def rows_for(key: KeyInfo) -> list[dict[str, object]]:
        return model_rows(fleet, arms, lambda name: door.may(key, name), strategies)

    @app.get("/v1/models")
    async def models(request: Request) -> dict[str, object]:
        return {"object": "list", "data": rows_for(key_of(door, request))}

    @app.get("/v1/models/{name:path}")
    async def model(name: str, request: Request) -> dict[str, object]:
        key = key_of(door, request)
        found = named(name, fleet, arms, strategies)
        if found != AUTO:
            door.authorize(key, found)
        return next(row for row in rows_for(key) if row["id"] == found)


def _speak_openai(app: FastAPI) -> None:
    """Every error as the clients know it, with the request's id."""

    async def respond(request: Request, error: Exception, allow: tuple[str, ...] = ()) -> Response:
        told = answer(error, request_id=Incoming(request.scope).request_id, allow=allow)
        headers = {name: value for name, value in told.headers.items() if name != "x-request-id"}
        return Response(told.body, told.status, headers=headers)

    async def on_any(request: Request, error: Exception) -> Response:
        return await respond(request, error)

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        place = f"{request.method} {request.scope['path']}"[:200]
        if error.status_code == 405:
            allow = (error.headers or {}).get("Allow", "GET")
            return await respond(request, MethodNotAllowed(f"{place}: this route takes {allow}."), (allow,))
        if error.status_code == 404:
            return await respond(request, RouteNotFound(f"There is no {place} here."))
        return await respond(request, RequestError(str(error.detail)))

    app.add_exception_handler(ZoranError, on_any)
    app.add_exception_handler(Exception, on_any)
    app.add_exception_handler(HTTPException, on_http)
