"""Which addresses a fetched URL may lead to: public ones, and what was allowed by name.

A URL is read once, by one parser, and its host is resolved once: what was checked is what is connected to.
Knows no HTTP.

Source: the IANA registries of special-purpose IPv4 and IPv6 addresses (RFC 6890 and its updates), written
out because what `ipaddress` calls global differs between versions of Python.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Collection, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import httpx

from zoran_ray.errors import ConfigError, DeadlineExceeded, InvalidRequest, PermissionDenied, UpstreamError

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Addresses of a host for a port. Raises: OSError: There are none."""

MOST_URL_CHARS = 2048
MOST_ADDRESSES = 16
"""Addresses of one name that are looked at; a name with more is refused."""
USUAL_PORTS = frozenset({80, 443})
RESOLVE_S = 5.0

_NOT_PUBLIC_4 = tuple(
    ip_network(block)
    for block in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24",
        "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
        "168.63.129.16/32",  # looks public: what a machine in Azure asks about itself
    )
)  # fmt: skip
_PUBLIC_6 = ip_network("2000::/3")
"""All else is loopback, link-local, unique local, multicast, unassigned, or has an IPv4 address inside:
mapped `::ffff:0:0/96`, compatible `::/96`, NAT64 `64:ff9b::/96` and `64:ff9b:1::/48`."""
_NOT_PUBLIC_6 = tuple(
    ip_network(block)
    for block in (
        "2001::/23",  # protocol assignments; Teredo among them
        "2001:db8::/32",
        "2002::/16",  # 6to4: an IPv4 address inside
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)
_HEX_DIGITS = frozenset("0123456789abcdef")


def is_public(address: Address) -> bool:
    """Whether an address may be that of anybody's server."""
    if isinstance(address, IPv4Address):
        return not any(address in block for block in _NOT_PUBLIC_4)
    return (
        address.scope_id is None
        and address in _PUBLIC_6
        and not any(address in block for block in _NOT_PUBLIC_6)
    )


async def resolve(host: str, port: int) -> Sequence[str]:
    """Addresses of a host as this machine finds them."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def checked_url(text: str) -> httpx.URL:
    """The URL of a text, if it is one that may be fetched at all.

    Raises:
        InvalidRequest: It is no http or https URL, or one that different readers could read differently.
    """
    # ASCII letters only: no sign that one reader folds into a digit or a dot and another does not.
    if not 0 < len(text) <= MOST_URL_CHARS or not text.isascii() or not text.isprintable():
        raise _bad(f"needs 1 to {MOST_URL_CHARS} printable ASCII characters (write names in punycode)")
    if " " in text or "\\" in text:
        raise _bad("has a space or a backslash; write them as %20 and %5C")
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError):
        raise _bad("cannot be read") from None
    if url.scheme not in ("http", "https") or not text.lower().startswith(f"{url.scheme}://"):
        raise _bad("must begin with http:// or https://")
    if url.userinfo or "@" in text.split("/")[2].partition("?")[0].partition("#")[0]:
        raise _bad("has a user name or password in it")
    if url.port is not None and not 0 < url.port < 65536:
        raise _bad("has a port that is none")
    check_host(host_of(url))
    return url


def host_of(url: httpx.URL) -> str:
    """The host as it is asked for and resolved: in ASCII, IPv6 without brackets."""
    return url.raw_host.decode("ascii")


def check_host(host: str) -> None:
    """Raises: InvalidRequest: It is no host, or an address in another than its one usual form."""
    if not host or "%" in host:
        raise _bad("names no host, or one with an escape in it")
    try:
        ip_address(host)
    except ValueError:
        # The rule by which browsers take a host for an address: its last part is a number.
        last = host.rstrip(".").rpartition(".")[2].lower()
        if not last or last.isdigit() or (last.startswith("0x") and _HEX_DIGITS.issuperset(last[2:])):
            raise _bad("has a number for a host; write an IPv4 address as four decimal numbers") from None
        if ":" in host or len(host) > 253:
            raise _bad("names no host") from None


class Guard:
    """Finds the addresses a URL may be fetched from.

    Args:
        allow: Addresses that may be asked although they are not public, as `127.0.0.1:8080`.
        ports: Ports that may be asked at public addresses.
        resolve: Finds the addresses of a host.

    Raises:
        ConfigError: An allowed address is none.
    """

    def __init__(
        self,
        allow: Collection[str] = (),
        ports: Collection[int] = USUAL_PORTS,
        resolve: Resolve = resolve,
    ) -> None:
        self._allow = {_place(each) for each in allow}
        self._ports = frozenset(ports)
        self._resolve = resolve

    async def addresses(self, url: httpx.URL) -> tuple[Address, ...]:
        """Where a URL is to be fetched from: these addresses and no others.

        Args:
            url: From `checked_url`.

        Raises:
            PermissionDenied: It leads, or could lead, to an address or a port that may not be asked.
            UpstreamError: There is no such host.
        """
        port = url.port or (443 if url.scheme == "https" else 80)
        found = await self._found(host_of(url), port)
        if not found:
            raise UpstreamError("There is no host of this name.")
        # One that may not be asked spoils all: who answers so means to lead us there.
        return tuple(self._checked(_read(text), port) for text in found)

    async def _found(self, host: str, port: int) -> Sequence[str]:
        try:
            return [str(ip_address(host))]
        except ValueError:
            pass
        try:
            async with asyncio.timeout(RESOLVE_S):
                found = await self._resolve(host, port)
        except TimeoutError:
            raise DeadlineExceeded(f"No address of the host was found within {RESOLVE_S:g} s.") from None
        except (OSError, UnicodeError):
            raise UpstreamError("There is no host of this name, or no name server answers.") from None
        if len(found) > MOST_ADDRESSES:
            raise PermissionDenied(f"The host has more than {MOST_ADDRESSES} addresses.", param="url")
        return found

    def _checked(self, address: Address | None, port: int) -> Address:
        if address is not None and (address, port) in self._allow:
            return address
        if address is None or not is_public(address):
            raise PermissionDenied(
                "This URL leads to an address that is not public: this machine, its network, or one that"
                " stands for another address. Such are fetched only where the configuration allows them.",
                param="url",
            )
        if port not in self._ports:
            raise PermissionDenied(
                f"Port {port} may not be asked; allowed are {', '.join(map(str, sorted(self._ports)))}.",
                param="url",
            )
        return address


def _read(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _place(text: str) -> tuple[Address, int]:
    host, _, port = text.rpartition(":")
    try:
        return ip_address(host.strip("[]")), int(port)
    except ValueError:
        raise ConfigError(
            f"{text[:64]!r} is no address with a port, such as 10.0.0.7:8080.",
            param="tools.fetch_addresses",
        ) from None


def _bad(why: str) -> InvalidRequest:
    return InvalidRequest(f"The URL {why}.", param="url")
