"""Routes about files, for the tenant of the key: `/v1/files`, as OpenAI's clients ask.

Bytes pass through in pieces, up and down: no file is ever whole in this process.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect

from serve_apps.gateway.batch_rows import file_row, list_row, page_limit
from serve_apps.gateway.door import Door
from serve_apps.gateway.multipart import Form
from serve_apps.gateway.page_request import key_of
from zoran_ray.batch.files import MAX_FILE_BYTES, PURPOSES, too_large
from zoran_ray.batch.job import FileInfo
from zoran_ray.errors import InvalidRequest, ZoranError
from zoran_ray.settings import ServerSettings

AskBatch = Callable[..., Awaitable[Any]]
"""Calls a method of `BatchOffice` by its name."""

PIECE_BYTES = 1 << 20
UPLOAD_S = 3600.0
"""Longest that an upload may take; its silences are shorter."""
_FORM_BYTES = 64 * 1024
_LEAST_EXPIRY_S, _MOST_EXPIRY_S = 3600, 2_592_000


def add_file_pages(app: FastAPI, door: Door, ask: AskBatch, settings: ServerSettings) -> None:
    """Add the routes to `app`.

    Args:
        door: Who may ask.
        ask: Who has the files.
    """

    def owner_of(request: Request) -> str:
        return key_of(door, request).tenant

    @app.post("/v1/files")
    async def upload(request: Request) -> dict[str, object]:
        return file_row(await _uploaded(request, owner_of(request), ask, settings.body_timeout_s))

    @app.get("/v1/files")
    async def files(request: Request) -> dict[str, object]:
        owner, query = owner_of(request), request.query_params
        order, limit = _order(query.get("order", "desc")), page_limit(query, 10_000, 10_000)
        found, more = await ask("files", owner, query.get("purpose"), query.get("after"), limit, order)
        return list_row([file_row(info) for info in found], more)

    @app.get("/v1/files/{file_id}")
    async def file(file_id: str, request: Request) -> dict[str, object]:
        return file_row(await ask("file", owner_of(request), file_id))

    @app.get("/v1/files/{file_id}/content")
    async def content(file_id: str, request: Request) -> StreamingResponse:
        owner = owner_of(request)
        info = await ask("file", owner, file_id)
        return StreamingResponse(
            _pieces(ask, owner, info),
            media_type="application/octet-stream",
            headers={"content-length": str(info.bytes), "x-content-type-options": "nosniff"},
        )

    @app.delete("/v1/files/{file_id}")
    async def delete(file_id: str, request: Request) -> dict[str, object]:
        await ask("delete", owner_of(request), file_id)
        return {"id": file_id, "object": "file", "deleted": True}


async def _uploaded(request: Request, owner: str, ask: AskBatch, silence_s: float) -> FileInfo:
    """Takes a file in; one that does not come to its end leaves nothing."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > MAX_FILE_BYTES + _FORM_BYTES:
        raise too_large()
    form = Form(request.headers.get("content-type", ""))
    name = await ask("upload", owner)
    try:
        async with aclosing(_file_pieces(request, form, silence_s)) as pieces:
            async for piece in pieces:
                await ask("add", name, piece)
        form.close()
        purpose, expires_s = _purpose(form.fields), _expires_s(form.fields)
        kept: FileInfo = await ask("keep", name, purpose, form.filename, expires_s)
        return kept
    except BaseException:
        with suppress(ZoranError):
            await asyncio.shield(ask("drop", name))
        raise


async def _file_pieces(request: Request, form: Form, silence_s: float) -> AsyncGenerator[bytes, None]:
    stream, waiting, ends = request.stream(), bytearray(), time.monotonic() + UPLOAD_S
    while (data := await _next(stream, min(silence_s, ends - time.monotonic()))) is not None:
        waiting += form.feed(data)
        while len(waiting) >= PIECE_BYTES:
            yield bytes(waiting[:PIECE_BYTES])
            del waiting[:PIECE_BYTES]
    if waiting:
        yield bytes(waiting)


async def _next(stream: AsyncGenerator[bytes, None], timeout_s: float) -> bytes | None:
    """The next bytes of the body; None at its end."""
    try:
        async with asyncio.timeout(timeout_s):
            return await anext(stream, None)
    except TimeoutError:
        raise InvalidRequest("The file did not arrive in time. Send it again.") from None
    except ClientDisconnect:
        raise InvalidRequest("The client went away before its file was complete.") from None


async def _pieces(ask: AskBatch, owner: str, info: FileInfo) -> AsyncIterator[bytes]:
    at = 0
    while at < info.bytes and (piece := await ask("content", owner, info.id, at, PIECE_BYTES)):
        at += len(piece)
        yield piece


def _order(told: str) -> str:
    if told not in ("asc", "desc"):
        raise InvalidRequest("'order' must be 'asc' or 'desc'.", param="order")
    return told


def _purpose(fields: dict[str, str]) -> str:
    purpose = fields.get("purpose", "")
    if purpose not in PURPOSES:
        known = ", ".join(sorted(PURPOSES))
        raise InvalidRequest(f"'purpose' must be one of {known}.", param="purpose")
    return purpose


def _expires_s(fields: dict[str, str]) -> int | None:
    told = fields.get("expires_after[seconds]")
    if told is None:
        return None
    if fields.get("expires_after[anchor]", "created_at") != "created_at":
        raise InvalidRequest("'expires_after[anchor]' must be 'created_at'.", param="expires_after")
    if told.isascii() and told.isdigit() and len(told) < 9:
        seconds = int(told)
        if _LEAST_EXPIRY_S <= seconds <= _MOST_EXPIRY_S:
            return seconds
    raise InvalidRequest(
        f"'expires_after[seconds]' must be from {_LEAST_EXPIRY_S} to {_MOST_EXPIRY_S}.",
        param="expires_after",
    )
