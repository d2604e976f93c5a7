"""Which server a command asks over HTTP, and with which key: options that several commands share."""

import os
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zoran_ray.cli.options import settings

if TYPE_CHECKING:
    import ssl

    from zoran_ray.client import Client

BaseUrl = Annotated[
    str | None,
    typer.Option(envvar="ZORAN_BASE_URL", help="Server to ask; by default the one of the state directory."),
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        envvar="ZORAN_API_KEY",
        help="Key of that server; better given as a variable, which no process list shows. "
        "OPENAI_API_KEY is taken where --base-url names the server.",
    ),
]


def client(
    base_url: str | None,
    api_key: str | None,
    state_dir: Path | None,
    config: Path | None,
    timeout_s: float,
) -> "Client":
    """A client of the server that is meant; to be closed.

    Args:
        timeout_s: Longest silence, in seconds.
    """
    from zoran_ray.client import Client

    url, key = where(base_url, api_key, state_dir, config)
    if (context := trusted(base_url, state_dir, config)) is None:
        return Client(url, key, timeout_s)
    import httpx

    return Client(url, key, timeout_s, httpx.HTTPTransport(verify=context))


def where(
    base_url: str | None, api_key: str | None, state_dir: Path | None, config: Path | None
) -> tuple[str, str | None]:
    """Address and key of the server that is meant."""
    if base_url is None:
        return _own_url(state_dir, config), api_key
    # Only here: our own server must not be shown the key of a provider it may ask.
    return base_url, api_key or os.environ.get("OPENAI_API_KEY") or None


def trusted(base_url: str | None, state_dir: Path | None, config: Path | None) -> "ssl.SSLContext | None":
    """How to know our own server by its certificate; None: as any other server is known."""
    from zoran_ray.certificates import trusting
    from zoran_ray.control import read_record

    if base_url is not None:
        return None
    found = settings(config=config, state_dir=state_dir)
    record = read_record(found.state_dir)
    certificate = Path(record.certificate) if record and record.certificate else found.server.tls_cert
    return trusting(certificate) if certificate else None


def _own_url(state_dir: Path | None, config: Path | None) -> str:
    """Where the server of the state directory says it is, or else where it would be."""
    from zoran_ray.control import read_record

    found = settings(config=config, state_dir=state_dir)
    record = read_record(found.state_dir)
    server = found.server
    return record.url if record is not None else reachable(server.host, server.port, server.scheme)


def reachable(host: str, port: int, scheme: str = "http") -> str:
    """The address to ask for a server that listens on `host`."""
    try:
        address = ip_address(host)
    except ValueError:
        return f"{scheme}://{host}:{port}"
    if address.is_unspecified:
        return f"{scheme}://{'127.0.0.1' if address.version == 4 else '[::1]'}:{port}"
    return f"{scheme}://{f'[{host}]' if address.version == 6 else host}:{port}"
