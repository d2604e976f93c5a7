"""Routes about traces: what a strategy thought, for the tenant of the key that asked it."""

from fastapi import FastAPI, Request, Response

from serve_apps.gateway.batch_rows import list_row, page_limit
from serve_apps.gateway.door import Door
from serve_apps.gateway.page_request import key_of
from serve_apps.gateway.traces import Traces


def add_trace_pages(app: FastAPI, door: Door, traces: Traces) -> None:
    """Add the routes to `app`.

    Args:
        door: Who may ask.
        traces: Where they are.
    """

    def tenant_of(request: Request) -> str:
        return key_of(door, request).tenant

    @app.get("/v1/traces")
    async def listing(request: Request) -> dict[str, object]:
        tenant, query = tenant_of(request), request.query_params
        rows, more = await traces.page(tenant, page_limit(query, 20, 100), query.get("after"))
        return list_row(rows, more)

    @app.get("/v1/traces/{trace_id}")
    async def trace(trace_id: str, request: Request) -> Response:
        return Response(await traces.get(trace_id, tenant_of(request)), media_type="application/json")

    @app.delete("/v1/traces/{trace_id}")
    async def forget(trace_id: str, request: Request) -> dict[str, object]:
        await traces.forget(trace_id, tenant_of(request))
        return {"id": trace_id, "object": "trace", "deleted": True}
