"""Which forge a remote belongs to. A token goes only to addresses that the operator named."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from zoran_ray.autopilot.forge.forge import Forge
from zoran_ray.autopilot.forge.github import GitHubForge
from zoran_ray.autopilot.forge.plain import PlainRemote
from zoran_ray.autopilot.forge.requests import Requests
from zoran_ray.autopilot.git import checked_remote

API_URLS: Mapping[str, str] = {"github.com": "https://api.github.com"}
"""Addresses of GitHub's API by host, port included, of the remote. An enterprise's own is added to them."""


def forge_of(
    remote: str, token: str | None, api_urls: Mapping[str, str] = API_URLS, *, deadline_s: float = 20.0,
    between_writes_s: float = 1.0,
) -> Forge:  # fmt: skip
    """The forge of a remote; one without pull requests where there is none, or no token for it.

    Args:
        remote: `https://host/owner/name`, with or without `.git`; `file:///path`.
        token: For this host.
        api_urls: By host and port of the remote: `{"git.example.com": "https://git.example.com/api/v3"}`.

    Raises:
        InvalidRequest: The remote is no address.
        ConfigError: The API's address or the token cannot be used.
    """
    parts = urlsplit(checked_remote(remote))
    api_url = api_urls.get(parts.netloc.lower()) if parts.scheme in ("http", "https") else None
    if api_url is None:
        return PlainRemote("This remote is no forge that is configured.")
    if not token:
        return PlainRemote("There is no token for this remote's forge.")
    repository = parts.path.strip("/").removesuffix(".git")
    return GitHubForge(
        Requests(api_url, repository, token, deadline_s=deadline_s, between_writes_s=between_writes_s)
    )
