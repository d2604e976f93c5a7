"""Whether a provider's model can be asked, found out without spending a token.

Knows where each provider lists its models, nothing of how they are asked.
"""

import asyncio
import time
import uuid
from collections.abc import Mapping
from urllib.parse import quote

import orjson

from zoran_ray.engines.providers.build import ADAPTERS, key_of
from zoran_ray.engines.providers.connection import Connection
from zoran_ray.errors import UpstreamError, ZoranError
from zoran_ray.offers import ArmSpec

_BY_LIST = ("ollama", "vllm", "openai_compatible")
"""They need not have `/models/{name}`. The others answer that with 404 for a model they do not have."""
_LISTS_ALL = ("ollama", "vllm")


async def reach(spec: ArmSpec, environ: Mapping[str, str], timeout_s: float) -> str | None:
    """Why an arm cannot be asked now, for people; None if it can. Never shows the key.

    Args:
        environ: Where its key is.
        timeout_s: Longest it may take, in seconds.
    """
    try:
        connection = ADAPTERS[spec.provider].connect(key_of(spec, environ), spec.base_url)
    except ZoranError as error:
        return error.message
    try:
        async with asyncio.timeout(timeout_s):
            listed = await _listed(connection, spec, timeout_s)
    except ZoranError as error:
        return error.message
    except TimeoutError:
        return f"{connection.provider} did not answer within {timeout_s:g} s."
    finally:
        await connection.close()
    if spec.provider in _LISTS_ALL and _names(listed).isdisjoint(
        (spec.upstream, f"{spec.upstream}:latest")
    ):
        return f"{connection.provider} is there, but does not serve a model named {spec.upstream!r}."
    return None


async def _listed(connection: Connection, spec: ArmSpec, timeout_s: float) -> object:
    model = spec.upstream.removeprefix("models/") if spec.provider == "gemini" else spec.upstream
    reply = await connection.open(
        "/models" if spec.provider in _BY_LIST else f"/models/{quote(model, safe='')}",
        None,
        request_id=f"reach-{uuid.uuid4().hex}",
        # The time-out around it comes first.
        deadline=time.monotonic() + timeout_s + 1,
        streamed=False,
    )
    try:
        return orjson.loads(await reply.whole())
    except orjson.JSONDecodeError:
        raise UpstreamError(f"{connection.provider} answered something that is not JSON.") from None
    finally:
        await reply.close()


def _names(listed: object) -> set[object]:
    data = listed.get("data") if isinstance(listed, dict) else None
    entries = data if isinstance(data, list) else []
    names = [each.get("id") for each in entries if isinstance(each, dict)]
    return {name for name in names if isinstance(name, str)}
