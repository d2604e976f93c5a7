"""Routes about the memory. Names of people stand in bodies only: URLs get logged."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from fastapi import FastAPI, Request

from serve_apps.gateway.door import Door
from serve_apps.gateway.incoming import Incoming
from serve_apps.gateway.memory_desk import Erasure, Kept, MemoryDesk
from serve_apps.gateway.memory_fields import (
    About,
    Agreement,
    Draft,
    Drafts,
    Fields,
    Forget,
    Nothing,
    Search,
    Withdrawal,
    read_fields,
)
from serve_apps.gateway.memory_tenant import OPERATOR, operator_only, tenant_of
from serve_apps.gateway.page_request import document_of
from zoran_ray.errors import DeadlineExceeded
from zoran_ray.memory.consent import consent_json
from zoran_ray.memory.record import Layer, Record, as_json
from zoran_ray.memory.search import Hit
from zoran_ray.memory.service import ShardStats
from zoran_ray.messages import KeyInfo
from zoran_ray.settings import ServerSettings

CALL_S = 60.0
"""Longest that a call may take."""
COMPACT_S = 3600.0
"""Longest that a compaction may take: it writes everything anew."""

F = TypeVar("F", bound=Fields)
_Move = Callable[[KeyInfo, str], Awaitable[Kept]]


@dataclass(frozen=True, slots=True)
class _Call:
    """One request: whose, with which body."""

    key: KeyInfo
    request_id: str
    document: dict[str, Any] = field(repr=False)

    def fields(self, kind: type[F]) -> F:
        """The body's fields. Raises: InvalidRequest."""
        return read_fields(kind, self.document)


class _Calls:
    """Takes in what is asked: whose it is, its body, and how long it may take."""

    def __init__(self, door: Door, settings: ServerSettings) -> None:
        self._door = door
        self._settings = settings

    @asynccontextmanager
    async def __call__(self, request: Request, timeout_s: float = CALL_S) -> AsyncIterator[_Call]:
        incoming = Incoming(request.scope)
        key = self._door.admit(incoming.headers)
        document = await document_of(request, self._settings, may_be_empty=True)
        async with _in_time(timeout_s):
            yield _Call(key, incoming.request_id, document)


def add_memory_pages(app: FastAPI, door: Door, desk: MemoryDesk, settings: ServerSettings) -> None:
    """Add the routes to `app`.

    Args:
        door: Who may ask.
        desk: Asks the memory in the name of a key.
        settings: Limits of bodies.
    """
    call = _Calls(door, settings)
    _add_tenant(app, call, desk)
    _add_consents(app, call, desk)
    _add_records(app, call, desk)  # last: `{record_id}` stands for any word


def _add_tenant(app: FastAPI, call: _Calls, desk: MemoryDesk) -> None:
    """What is about many records at once."""

    @app.post("/v1/memory/forget")
    async def forget(request: Request) -> dict[str, object]:
        async with call(request) as c:
            asked = c.fields(Forget)
            if asked.compact:
                operator_only(c.key)  # before anything is gone
            erasure = await _erased(desk, c.key, asked)
        if asked.compact:
            async with _in_time(COMPACT_S):
                await desk.compact(c.key)
        return {"object": "memory.erasure", **_erasure(erasure), "compacted": asked.compact}

    @app.post("/v1/memory/export")
    async def export(request: Request) -> dict[str, object]:
        async with call(request) as c:
            found = await desk.export(c.key, c.fields(About).subject)
        return {"object": "memory.export", **found, "tenant": c.key.tenant}

    @app.post("/v1/memory/compact")
    async def compact(request: Request) -> dict[str, object]:
        async with call(request, COMPACT_S) as c:
            c.fields(Nothing)
            await desk.compact(c.key)
        return {"object": "memory.compaction", "status": "done"}

    @app.get("/v1/memory/stats")
    async def stats(request: Request) -> dict[str, object]:
        async with call(request) as c:
            embedder = asdict(await desk.embedder())
            told: dict[str, object] = {"object": "memory.stats", "embedder": embedder}
            if tenant_of(c.key) == OPERATOR:
                told["shards"] = [_shard(each) for each in await desk.stats(c.key)]
        return told


def _add_consents(app: FastAPI, call: _Calls, desk: MemoryDesk) -> None:
    """What is about consents."""

    @app.post("/v1/memory/consents")
    async def give(request: Request) -> dict[str, object]:
        async with call(request) as c:
            consent, leaf = await desk.give(c.key, c.fields(Agreement))
        row = {"subject": consent.subject, **consent_json(consent)}
        return {"object": "memory.consent", **row, "journal_leaf": leaf}

    @app.post("/v1/memory/consents/{consent_id}/withdraw")
    async def withdraw(consent_id: str, request: Request) -> dict[str, object]:
        async with call(request) as c:
            leaf = await desk.withdraw(c.key, consent_id, forget=c.fields(Withdrawal).forget)
        return {"object": "memory.consent", "id": consent_id, "withdrawn": True, "journal_leaf": leaf}


def _add_records(app: FastAPI, call: _Calls, desk: MemoryDesk) -> None:
    """What writes records, finds them, and moves them."""

    @app.post("/v1/memory")
    async def put(request: Request) -> dict[str, object]:
        async with call(request) as c:
            many = "records" in c.document
            drafts = c.fields(Drafts).records if many else (c.fields(Draft),)
            kept = await desk.put(c.key, drafts, c.request_id)
        return {"object": "list", "data": [_kept(each) for each in kept]}

    @app.post("/v1/memory/search")
    async def search(request: Request) -> dict[str, object]:
        async with call(request) as c:
            hits = await desk.search(c.key, c.fields(Search))
        return {"object": "list", "data": [_hit(each) for each in hits]}

    @app.get("/v1/memory/{record_id}")
    async def get(record_id: str, request: Request) -> dict[str, object]:
        async with call(request) as c:
            record = await desk.get(c.key, record_id)
        return {"object": "memory.record", **_record(record)}

    @app.post("/v1/memory/{record_id}/confirm")
    async def confirm(record_id: str, request: Request) -> dict[str, object]:
        return await moved(request, record_id, desk.confirm)

    @app.post("/v1/memory/{record_id}/promote")
    async def promote(record_id: str, request: Request) -> dict[str, object]:
        return await moved(request, record_id, desk.promote)

    async def moved(request: Request, record_id: str, move: _Move) -> dict[str, object]:
        async with call(request) as c:
            c.fields(Nothing)
            kept = await move(c.key, record_id)
        return {"object": "memory.record", **_kept(kept)}


@asynccontextmanager
async def _in_time(timeout_s: float) -> AsyncIterator[None]:
    """Raises: DeadlineExceeded: It took longer than `timeout_s` seconds."""
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except TimeoutError:
        raise DeadlineExceeded(
            f"The memory did not answer within {timeout_s:g} s.", retry_after_s=5.0
        ) from None


async def _erased(desk: MemoryDesk, key: KeyInfo, asked: Forget) -> Erasure:
    if asked.everything:
        return await desk.forget_everything(key)
    if asked.subject is not None:
        return await desk.forget_subject(key, asked.subject)
    return await desk.forget(key, asked.ids or ())


def _erasure(erasure: Erasure) -> dict[str, object]:
    told: dict[str, object] = {"forgotten": erasure.count, "journal_leaf": erasure.journal_leaf}
    if erasure.names_forgotten is not None:
        told |= {"names_forgotten": erasure.names_forgotten, "traces_forgotten": erasure.traces}
    return told


def _kept(kept: Kept) -> dict[str, object]:
    stored = kept.stored
    return {
        "id": stored.id,
        "layer": stored.layer.value,
        "merged": stored.merged,
        "journal_leaf": kept.journal_leaf,
    }


def _record(record: Record) -> dict[str, object]:
    """A record for its tenant, which knows its own name."""
    told = as_json(record)
    del told["tenant"]
    return told | ({"untrusted": True} if record.layer is Layer.PARASITIC else {})


def _hit(hit: Hit) -> dict[str, object]:
    return {**_record(hit.record), "score": hit.score, "cosine": hit.cosine, "bm25": hit.bm25}


def _shard(shard: ShardStats) -> dict[str, object]:
    return {
        "name": shard.name,
        "node": shard.node,
        "waits_for": list(shard.waits_for),
        "stats": None if shard.stats is None else asdict(shard.stats),
    }
