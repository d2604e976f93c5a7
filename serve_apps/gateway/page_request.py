"""What pages ask of a request: whose key it carries, and its body. Knows no page."""

from typing import Any

from fastapi import Request

from serve_apps.gateway.door import Door
from serve_apps.gateway.incoming import Incoming
from zoran_ray import wire
from zoran_ray.messages import KeyInfo
from zoran_ray.settings import ServerSettings


def key_of(door: Door, request: Request) -> KeyInfo:
    """The key in whose name is asked. Raises: Unauthenticated."""
    return door.admit(Incoming(request.scope).headers)


async def body_of(request: Request, settings: ServerSettings, most: int | None = None) -> bytes:
    """The body, within the limits of the server.

    Args:
        most: Longest that this page reads, in bytes, where that is less than the server allows.

    Raises:
        BodyTooLarge, InvalidRequest: As `Incoming.body`.
    """
    allowed = settings.max_body_bytes if most is None else min(most, settings.max_body_bytes)
    incoming, timeout_s = Incoming(request.scope), settings.body_timeout_s
    return await incoming.body(request.receive, most=allowed, timeout_s=timeout_s)


async def document_of(
    request: Request, settings: ServerSettings, *, may_be_empty: bool = False
) -> dict[str, Any]:
    """The JSON object that the body is.

    Args:
        may_be_empty: Whether no body stands for an object without members.

    Raises:
        BodyTooLarge, InvalidRequest: As `body_of` and `wire.read`.
    """
    raw = await body_of(request, settings)
    return {} if may_be_empty and not raw else wire.read(raw, max_depth=settings.max_json_depth)
