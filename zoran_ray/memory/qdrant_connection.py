"""The way to the Qdrant that the settings name. Sends nothing yet."""

import warnings
from functools import partial
from typing import TYPE_CHECKING

from zoran_ray.api_key import ApiKey
from zoran_ray.errors import ConfigError
from zoran_ray.memory.qdrant import MakeMirror, QdrantMirror
from zoran_ray.settings import MemorySettings

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

TIMEOUT_S = 5
"""Longest wait for one answer of Qdrant, in seconds."""


def mirrors(settings: MemorySettings) -> MakeMirror | None:
    """Makes the copies that the settings ask for; None where they ask for none.

    Raises:
        ConfigError: The client, the address or the file of the key is missing or wrong.
    """
    if settings.qdrant_url is None:
        return None
    key = settings.qdrant_api_key_file
    secret = None if key is None else ApiKey.from_file(key).header().decode("ascii")
    return partial(QdrantMirror, connect(settings.qdrant_url, secret))


def connect(url: str, api_key: str | None) -> "QdrantClient":
    """A client for a Qdrant server; nothing is sent yet.

    Raises:
        ConfigError: The client is not installed, or the address is none.
    """
    try:
        from qdrant_client import QdrantClient
    except ImportError:
        raise ConfigError(
            "memory.qdrant_url is set, but the client is missing: pip install 'zoran_ray[qdrant]'",
            param="memory.qdrant_url",
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a key without TLS, which settings refuse but on loopback
            return QdrantClient(url=url, api_key=api_key, timeout=TIMEOUT_S, check_compatibility=False)
    except ValueError:
        raise ConfigError("memory.qdrant_url is no address of a Qdrant server.") from None
