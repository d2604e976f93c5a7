"""Forges and tokens for remotes, as the settings name them. A token goes to its host, and no further."""

from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from zoran_ray.api_key import ApiKey
from zoran_ray.autopilot.forge import API_URLS, Forge, forge_of
from zoran_ray.settings import ForgeSettings


class ForgeAccess:
    """Finds forges and their tokens; a token is read anew each time, so that it can be changed.

    Args:
        forges: By host.
        environ: Where tokens are that a variable holds.
    """

    def __init__(self, forges: Mapping[str, ForgeSettings], environ: Mapping[str, str]) -> None:
        self._forges = forges
        self._environ = environ
        self._api_urls = dict(API_URLS) | {
            host: forge.api_url for host, forge in forges.items() if forge.api_url is not None
        }

    def forge(self, remote: str) -> Forge:
        """The forge of a remote. Raises: ConfigError: Its token cannot be read."""
        return forge_of(remote, self.token(remote), self._api_urls)

    def token(self, remote: str) -> str | None:
        """The token for a remote; None where there is none, or where anybody on the way could read it.

        Raises:
            ConfigError: It cannot be read.
        """
        parts = urlsplit(remote)
        forge = self._forges.get(parts.netloc.lower())
        if forge is None or not (parts.scheme == "https" or _is_loopback(parts.hostname or "")):
            return None
        if forge.token_file is not None:
            return _text(ApiKey.from_file(Path(forge.token_file)))
        if forge.token_variable is not None:
            return _text(ApiKey.from_variable(forge.token_variable, self._environ))
        return None


def _text(key: ApiKey) -> str:
    return key.header().decode("ascii")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
