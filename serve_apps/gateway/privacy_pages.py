"""Routes about privacy: a text masked, and put back, for the tenant of the key that was sent."""

from typing import Any

from fastapi import FastAPI, Request

from serve_apps.gateway.door import Door
from serve_apps.gateway.page_request import document_of, key_of
from serve_apps.gateway.privacy_desk import PrivacyDesk
from zoran_ray.errors import InvalidRequest
from zoran_ray.settings import ServerSettings

MOST_KINDS = 64


def add_privacy_pages(app: FastAPI, door: Door, desk: PrivacyDesk, settings: ServerSettings) -> None:
    """Add the routes to `app`.

    Args:
        door: Who may ask.
        desk: Masks and puts back.
        settings: Limits of bodies.
    """

    async def asked(request: Request, *fields: str) -> tuple[str, dict[str, Any]]:
        """Tenant and body."""
        tenant = key_of(door, request).tenant
        return tenant, _checked(await document_of(request, settings), fields)

    @app.post("/v1/privacy/mask")
    async def mask(request: Request) -> dict[str, object]:
        tenant, body = await asked(request, "text", "kinds")
        masked = await desk.mask(tenant, body["text"], _kinds(body.get("kinds")))
        findings = [
            {"kind": finding.kind, "start": finding.start, "end": finding.end, "placeholder": name}
            for finding, name in zip(masked.findings, masked.placeholders, strict=True)
        ]
        return {"object": "privacy.mask", "text": masked.text, "findings": findings}

    @app.post("/v1/privacy/unmask")
    async def unmask(request: Request) -> dict[str, object]:
        tenant, body = await asked(request, "text")
        text, counts = await desk.unmask(tenant, body["text"])
        findings = [{"placeholder": name, "count": count} for name, count in counts.items()]
        return {"object": "privacy.unmask", "text": text, "findings": findings}


def _checked(document: dict[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    """The body. Raises: InvalidRequest: A field is unknown, or there is no text."""
    if unknown := sorted(document.keys() - set(fields)):
        name = unknown[0][:64]
        raise InvalidRequest(f"'{name}' is no field here; there are {', '.join(fields)}.", param=name)
    if not isinstance(document.get("text"), str):
        raise InvalidRequest("'text' must be a string.", param="text")
    return document


def _kinds(value: Any) -> list[str] | None:
    """What to look for, None for what the profile says. Raises: InvalidRequest: It is no list of names."""
    if value is None:
        return None
    if not isinstance(value, list) or not 0 < len(value) <= MOST_KINDS:
        raise InvalidRequest(f"'kinds' must be a list of 1 to {MOST_KINDS} names.", param="kinds")
    if not all(isinstance(each, str) for each in value):
        raise InvalidRequest("'kinds' must hold strings.", param="kinds")
    return value
