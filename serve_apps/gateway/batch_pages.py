"""Routes about batches, for the tenant of the key: `/v1/batches`, as OpenAI's clients ask."""

from typing import Annotated

from fastapi import FastAPI, Request
from pydantic import Field

from serve_apps.gateway.batch_rows import batch_row, list_row, page_limit
from serve_apps.gateway.door import Door
from serve_apps.gateway.file_pages import AskBatch
from serve_apps.gateway.memory_fields import Fields, read_fields
from serve_apps.gateway.page_request import document_of, key_of
from zoran_ray.settings import ServerSettings

Key = Annotated[str, Field(min_length=1, max_length=64)]
Value = Annotated[str, Field(max_length=512)]


class NewBatch(Fields):
    """What a batch is made of."""

    input_file_id: Annotated[str, Field(max_length=64)]
    endpoint: Annotated[str, Field(max_length=64)]
    completion_window: Annotated[str, Field(max_length=16)] = "24h"
    metadata: Annotated[dict[Key, Value], Field(max_length=16)] | None = None


def add_batch_pages(app: FastAPI, door: Door, ask: AskBatch, settings: ServerSettings) -> None:
    """Add the routes to `app`.

    Args:
        door: Who may ask.
        ask: Who has the batches.
    """

    def owner_of(request: Request) -> str:
        return key_of(door, request).tenant

    @app.post("/v1/batches")
    async def create(request: Request) -> dict[str, object]:
        key = key_of(door, request)
        new = read_fields(NewBatch, await document_of(request, settings))
        job = await ask(
            "create",
            *(key.tenant, key.key_id, new.endpoint, new.input_file_id, new.completion_window),
            new.metadata,
        )
        return batch_row(job)

    @app.get("/v1/batches")
    async def batches(request: Request) -> dict[str, object]:
        owner, query = owner_of(request), request.query_params
        found, more = await ask("batches", owner, query.get("after"), page_limit(query, 20, 100))
        return list_row([batch_row(job) for job in found], more)

    @app.get("/v1/batches/{batch_id}")
    async def batch(batch_id: str, request: Request) -> dict[str, object]:
        return batch_row(await ask("batch", owner_of(request), batch_id))

    @app.post("/v1/batches/{batch_id}/cancel")
    async def cancel(batch_id: str, request: Request) -> dict[str, object]:
        return batch_row(await ask("cancel", owner_of(request), batch_id))
