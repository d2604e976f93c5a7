"""Routes about the journal: its head, its entries, proofs that anybody can check.

The journal is the operator's and holds what all tenants do, though no name. So a key without a tenant, or
anybody where there are no keys, may see all of it. A key with a tenant sees the head and what shows that
nothing before an older head has changed, which are hashes, and of entries those of its own tenant, by the
number it was told when they were written. The list of entries is not for it.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request

from actors.told import ask_journal
from serve_apps.gateway.door import Door
from serve_apps.gateway.page_request import key_of
from zoran_ray.errors import InvalidRequest, PermissionDenied

USUAL_ENTRIES = 20

_NOT_YOURS = (
    "This key has a tenant, and the list of entries is the operator's. Ask for the proof of an entry of"
    " your own by its number."
)
_NUMBER = re.compile(r"0|[1-9][0-9]{0,14}", re.ASCII)

Ask = Callable[..., Awaitable[Any]]
"""Calls a method of `JournalWriter` by its name. Raises: ZoranError."""


def add_journal_pages(app: FastAPI, door: Door, ask: Ask = ask_journal) -> None:
    """Add the routes to `app`.

    Args:
        door: Who may ask.
        ask: Asks the journal.
    """

    def tenant_of(request: Request) -> str | None:
        """Whose entries may be seen; None for everybody's. Raises: Unauthenticated."""
        return key_of(door, request).tenant or None

    @app.get("/v1/journal/head")
    async def head(request: Request) -> dict[str, object]:
        tenant_of(request)
        return {"object": "journal.head", **await ask("head")}

    @app.get("/v1/journal/entries")
    async def entries(request: Request) -> dict[str, object]:
        if tenant_of(request) is not None:
            raise PermissionDenied(_NOT_YOURS)
        limit = _asked(request, "limit", USUAL_ENTRIES)
        found = await ask("tail", limit, _asked(request, "before", None))
        return {"object": "list", "size": found["size"], "data": found["entries"]}

    @app.get("/v1/journal/entries/{index}/proof")
    async def proof(index: str, request: Request) -> dict[str, object]:
        tenant = tenant_of(request)
        proven: dict[str, object] = await ask("prove", _number(index, "index"), tenant)
        return proven

    @app.get("/v1/journal/consistency")
    async def consistency(request: Request) -> dict[str, object]:
        tenant_of(request)
        size = _asked(request, "size", None)
        if size is None:
            raise InvalidRequest("'size' is missing: that of the older checkpoint.", param="size")
        shown: dict[str, object] = await ask("consistency", size)
        return shown


def _asked(request: Request, name: str, otherwise: int | None) -> int | None:
    """A number of the query."""
    given = request.query_params.get(name)
    return otherwise if given is None else _number(given, name)


def _number(text: str, name: str) -> int:
    """Raises: InvalidRequest: It is none."""
    if not _NUMBER.fullmatch(text):
        raise InvalidRequest(f"'{name}' must be a whole number from 0 on.", param=name)
    return int(text)
