"""The guard against URLs that lead inside: however an address is written, and whoever resolves it."""

import ipaddress
import socket
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.errors import (
    DeadlineExceeded,
    InvalidRequest,
    PermissionDenied,
    RequestError,
    UpstreamError,
)
from zoran_ray.tools import addresses
from zoran_ray.tools.addresses import Guard, checked_url, is_public

INSIDE_4 = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
)  # fmt: skip
INSIDE_6 = (
    "::/128", "::1/128", "fe80::/10", "fc00::/7", "ff00::/8", "fec0::/10", "2001:db8::/32", "100::/64",
    "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96", "5f00::/16",
)  # fmt: skip


def drawn(block: str) -> st.SearchStrategy[str]:
    network = ipaddress.ip_network(block)
    last = network.num_addresses - 1
    return st.integers(0, last).map(lambda i: str(network[i]))


inside_4 = st.sampled_from(INSIDE_4).flatmap(drawn)
inside_6 = st.sampled_from(INSIDE_6).flatmap(drawn)
public_4 = st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address).filter(is_public).map(str)


async def like_libc(host: str, port: int) -> Sequence[str]:
    """Takes every form of an address that C libraries take."""
    return [socket.inet_ntoa(socket.inet_aton(host.rstrip(".")))]


@st.composite
def spelled(draw: st.DrawFn) -> str:
    """An inside IPv4 address as some reader of URLs would take it."""
    address = ipaddress.IPv4Address(draw(inside_4))
    number, parts = int(address), address.packed
    forms = {0: str, 1: "0{:o}".format, 2: "0x{:x}".format, 3: "0X{:X}".format, 4: "00{:o}".format}
    each = [forms[draw(st.integers(0, 4))](part) for part in parts]
    tail2 = int.from_bytes(parts[2:], "big")
    tail3 = int.from_bytes(parts[1:], "big")
    hexed = parts.hex()
    host = draw(
        st.sampled_from(
            [
                str(address), str(number), hex(number), f"0{number:o}", ".".join(each),
                f"{each[0]}.{each[1]}.{tail2}", f"{each[0]}.{tail3}", f"{each[0]}.{hex(tail3)}",
                f"[::ffff:{address}]", f"[::ffff:{hexed[:4]}:{hexed[4:]}]", f"[::{address}]",
                f"[64:ff9b::{address}]", f"[64:ff9b:1::{address}]", f"[2002:{hexed[:4]}:{hexed[4:]}::1]",
                f"[2001:0:{hexed[:4]}:{hexed[4:]}::1]", f"[0:0:0:0:0:ffff:{address}]",
                f"[::ffff:0:{address}]",
                "".join(f"%{ord(char):02x}" for char in str(address)),
                str(address).replace(".", "\u3002"),
                "".join(chr(ord(c) + 0xFEE0) if c.isdigit() else c for c in str(address)),
            ]
        )
    )  # fmt: skip
    end = draw(st.sampled_from(["", ".", ":80", ":443"])) if host[0] != "[" else ""
    before = draw(st.sampled_from(["", "", "", "good.test@", "good.test:80@", "a:b@"]))
    after = draw(st.sampled_from(["", "/", "/x?y=@good.test", "#@good.test", "\\@good.test"]))
    return f"{draw(st.sampled_from(['http', 'https', 'HTTP']))}://{before}{host}{end}{after}"


@given(spelled())
async def test_no_spelling_of_an_inside_address_gets_through(url: str) -> None:
    with pytest.raises((InvalidRequest, PermissionDenied)):
        await Guard(resolve=like_libc).addresses(checked_url(url))


@given(inside_6)
async def test_no_inside_address_of_ipv6_gets_through(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))
    with pytest.raises((InvalidRequest, PermissionDenied)):
        await Guard().addresses(checked_url(f"http://[{address}]/"))


@given(st.lists(public_4, max_size=3), st.one_of(inside_4, inside_6, st.just("fe80::1%eth0")), st.randoms())
async def test_one_inside_address_among_those_of_a_name_spoils_all(
    public: list[str], inside: str, rng: object
) -> None:
    found = [*public, inside]
    rng.shuffle(found)  # type: ignore[attr-defined]

    async def told(host: str, port: int) -> Sequence[str]:
        return found

    with pytest.raises(PermissionDenied):
        await Guard(resolve=told).addresses(checked_url("http://good.test/"))


@given(public_4)
async def test_a_public_address_is_let_through_as_it_is(address: str) -> None:
    assert [str(a) for a in await Guard().addresses(checked_url(f"https://{address}/x"))] == [address]


@given(st.integers(0, 2**32 - 1))
def test_what_python_knows_to_be_inside_is_never_public(number: int) -> None:
    address = ipaddress.IPv4Address(number)
    inside = (
        address.is_private or address.is_loopback or address.is_link_local or address.is_multicast
        or address.is_unspecified or address.is_reserved
    )  # fmt: skip
    assert not (inside and is_public(address))


@pytest.mark.parametrize(
    "url",
    [
        "", "good.test", "//good.test", "ftp://good.test", "file:///etc/passwd", "gopher://good.test",
        "javascript:1", "http:good.test", "http:/good.test", "http:///good.test", "http://", "http://:80",
        "http://user@good.test", "http://@good.test", "http://:@good.test/", "http://good.test\\@inside.test",
        "http://good.test/a b", "http://good.test/\n", "http://good.test\t/", " http://good.test",
        "http://go\u00f6d.test/", "http://good.test:99999/", "http://[::1", "http://[fe80::1%25eth0]/",
        "http://1/", "http://0x7f000001/", "http://foo.1/", "http://foo.0x/", "http://foo.0x1F./",
        "http://good.test/" + "x" * 2048, "http://[::1]good.test/", "http://a..1/", "http://./",
    ],
)  # fmt: skip
def test_what_is_no_url_to_fetch(url: str) -> None:
    with pytest.raises(InvalidRequest):
        checked_url(url)


@given(st.text(max_size=60).map("http://".__add__) | st.text(max_size=60))
def test_any_text_is_a_url_or_a_typed_error(text: str) -> None:
    try:
        checked_url(text)
    except RequestError:
        return


async def test_ports_and_allowances() -> None:
    async def told(host: str, port: int) -> Sequence[str]:
        return ["93.184.215.14"]

    with pytest.raises(PermissionDenied, match="Port 22"):
        await Guard(resolve=told).addresses(checked_url("http://good.test:22/"))
    assert await Guard(resolve=told, ports={8443}).addresses(checked_url("https://good.test:8443/"))
    guard = Guard(allow=["127.0.0.1:8000", "[::1]:8000"])
    assert await guard.addresses(checked_url("http://127.0.0.1:8000/"))
    assert await guard.addresses(checked_url("http://[::1]:8000/"))
    for url in ("http://127.0.0.1:8001/", "http://127.0.0.2:8000/", "https://127.0.0.1/"):
        with pytest.raises(PermissionDenied):
            await guard.addresses(checked_url(url))


async def test_a_name_is_resolved_once_and_as_it_is_written() -> None:
    asked = []

    async def told(host: str, port: int) -> Sequence[str]:
        asked.append((host, port))
        return ["93.184.215.14", "2606:4700::1111"]

    found = await Guard(resolve=told).addresses(checked_url("https://XN--Bcher-kva.test/"))
    assert [str(address) for address in found] == ["93.184.215.14", "2606:4700::1111"]
    assert asked == [("xn--bcher-kva.test", 443)]


@pytest.mark.parametrize("fault", [OSError("no"), UnicodeError("no")])
async def test_names_nobody_knows(fault: Exception) -> None:
    async def told(host: str, port: int) -> Sequence[str]:
        raise fault

    with pytest.raises(UpstreamError):
        await Guard(resolve=told).addresses(checked_url("http://nobody.test/"))


async def test_no_address_too_many_and_none_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    async def none(host: str, port: int) -> Sequence[str]:
        return []

    async def many(host: str, port: int) -> Sequence[str]:
        return [f"8.8.8.{i}" for i in range(17)]

    async def hangs(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(60)
        return []

    monkeypatch.setattr(addresses, "RESOLVE_S", 0.01)
    for resolve, error in ((none, UpstreamError), (many, PermissionDenied), (hangs, DeadlineExceeded)):
        with pytest.raises(error):
            await Guard(resolve=resolve).addresses(checked_url("http://good.test/"))


async def test_this_machine_resolves_localhost_and_is_refused() -> None:
    for url in ("http://localhost/", "http://localhost./"):
        with pytest.raises((PermissionDenied, UpstreamError)):
            await Guard().addresses(checked_url(url))
