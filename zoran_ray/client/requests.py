"""What is sent: address, headers and chat body. Pure."""

import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any

import httpx

from zoran_ray.errors import ConfigError

Message = Mapping[str, Any]
"""`{"role": "user", "content": "…"}` and its like."""

CONNECT_TIMEOUT_S = 5.0


def endpoint(base_url: str) -> httpx.URL:
    """The address that paths are put behind; a bare host gets `/v1`, as the protocol's clients write it.

    Raises:
        ConfigError: It is no HTTP address.
    """
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not re.fullmatch(r"[\w.:-]+(%\w+)?", url.host):
        raise ConfigError(
            f"The base URL {base_url!r} is no HTTP address; write it like http://127.0.0.1:8080/v1.",
            param="base_url",
        )
    path = url.path.rstrip("/")
    return url.copy_with(path=path or "/v1")


def is_loopback(url: httpx.URL) -> bool:
    """Whether the address is this machine's own, which no proxy may see."""
    try:
        return ip_address(url.host).is_loopback
    except ValueError:
        return url.host == "localhost"


def headers(api_key: str | None) -> dict[str, str]:
    """Headers of every request.

    Raises:
        ConfigError: The key cannot stand in a header.
    """
    if api_key is None:
        return {}
    if not (api_key.isascii() and api_key.isprintable()):
        raise ConfigError("The API key has characters that no key has; copy it again.", param="api_key")
    return {"authorization": f"Bearer {api_key}"}


def chat_body(
    messages: str | Sequence[Message], model: str, *, stream: bool, extra: Mapping[str, Any]
) -> dict[str, Any]:
    """The body of a chat request; a string is one user message."""
    turns = [{"role": "user", "content": messages}] if isinstance(messages, str) else list(messages)
    body = {**extra, "model": model, "messages": turns}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def timeouts(timeout_s: float) -> httpx.Timeout:
    """Short for connecting, `timeout_s` for every wait after that."""
    return httpx.Timeout(timeout_s, connect=min(timeout_s, CONNECT_TIMEOUT_S))
