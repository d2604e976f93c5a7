"""The guarded fetch against a real server on this machine, whose address is allowed by name."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from zoran_ray.errors import DeadlineExceeded, InvalidRequest, PermissionDenied, UpstreamError
from zoran_ray.tools.addresses import Guard
from zoran_ray.tools.fetch import Fetcher, FetchLimits
from zoran_ray.tools.fetch_tool import FetchTool
from zoran_ray.tools.pinned import network

Answer = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


def reply(body: bytes | str = b"", status: int = 200, **headers: str) -> bytes:
    data = body.encode() if isinstance(body, str) else body
    headers = {"content_type": "text/html; charset=utf-8", "content_length": str(len(data)), **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items() if value]
    return "\r\n".join([f"HTTP/1.1 {status} X", *lines, "", ""]).encode() + data


class Web:
    """Answers paths with bytes, and remembers what was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.port = 0
        self.names: list[bytes] = []

    async def start(self, context: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            path = head[0].split(" ")[1]
            fields = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            self.requests.append((path, fields))
            answer = self.answers.get(path, reply(status=404))
            if isinstance(answer, bytes):
                writer.write(answer)
            else:
                await answer(writer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def url(self, path: str, host: str = "site.test") -> str:
        return f"http://{host}:{self.port}{path}"

    @property
    def asked(self) -> list[str]:
        return [path for path, _ in self.requests if path != "/robots.txt"]


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    server = Web()
    await server.start()
    yield server
    await server.stop()


async def here(host: str, port: int) -> Sequence[str]:
    """All names lead to this machine, but those that lead to a network inside."""
    return ["10.0.0.7"] if host == "inside.test" else ["127.0.0.1"]


@pytest.fixture
async def fetcher(web: Web) -> AsyncIterator[Fetcher]:
    made = Fetcher(
        Guard(allow=[f"127.0.0.1:{web.port}"], resolve=here), FetchLimits(body_bytes=100_000, wall_s=5.0)
    )
    yield made
    await made.close()


async def test_a_page(web: Web, fetcher: Fetcher) -> None:
    web.answers["/a?b=c"] = reply("<title>T</title><p>H\u00e9llo <b>you</b>")
    page = await fetcher.fetch(web.url("/a?b=c#part"))
    assert (page.title, page.text, page.truncated) == ("T", "H\u00e9llo you", False)
    path, headers = web.requests[-1]
    assert path == "/a?b=c"
    assert headers["host"] == f"site.test:{web.port}"
    assert headers["user-agent"].startswith("zoran_ray/")
    assert "cookie" not in headers
    assert "authorization" not in headers


async def test_without_an_allowance_this_machine_is_refused(web: Web) -> None:
    fetcher = Fetcher(Guard(resolve=here))
    for url in (web.url("/"), web.url("/", "127.0.0.1"), web.url("/", "localhost")):
        with pytest.raises(PermissionDenied):
            await fetcher.fetch(url)
    await fetcher.close()
    assert web.requests == []


async def test_a_name_that_changes_its_address_is_connected_to_where_it_was_checked(web: Web) -> None:
    answers = [["127.0.0.1"], ["127.0.0.1"], ["169.254.169.254"]]
    asked = []

    async def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return answers[min(len(asked), len(answers)) - 1]

    web.answers["/"] = reply("text")
    fetcher = Fetcher(Guard(allow=[f"127.0.0.1:{web.port}"], resolve=rebinding))
    # Once for robots.txt and once for the page; each time it is resolved once.
    assert (await fetcher.fetch(web.url("/"))).text == "text"
    assert len(asked) == 2
    with pytest.raises(PermissionDenied):
        await fetcher.fetch(web.url("/"))
    await fetcher.close()


async def test_another_address_is_tried_where_one_does_not_answer(web: Web) -> None:
    async def two(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.9", "127.0.0.1"]

    web.answers["/"] = reply("text")
    allow = [f"127.0.0.1:{web.port}", f"127.0.0.9:{web.port}"]
    fetcher = Fetcher(Guard(allow=allow, resolve=two))
    assert (await fetcher.fetch(web.url("/"))).text == "text"
    await web.stop()
    with pytest.raises(UpstreamError):
        await fetcher.fetch(web.url("/"))
    await fetcher.close()


async def test_redirects_are_followed_and_each_is_checked(web: Web, fetcher: Fetcher) -> None:
    web.answers["/1"] = reply(status=301, location="/2")
    web.answers["/2"] = reply(status=302, location=web.url("/3", "other.test"))
    web.answers["/3"] = reply("there")
    page = await fetcher.fetch(web.url("/1"))
    assert (page.url, page.text) == (web.url("/3", "other.test"), "there")


@pytest.mark.parametrize(
    ("location", "error"),
    [
        ("http://inside.test/", PermissionDenied),
        ("http://127.0.0.1:1/", PermissionDenied),
        ("http://169.254.169.254/latest/meta-data/", PermissionDenied),
        ("http://[::ffff:127.0.0.1]/", PermissionDenied),
        ("//10.0.0.1/", PermissionDenied),
        ("http://2130706433/", InvalidRequest),
        ("http://0x7f.1/", InvalidRequest),
        ("file:///etc/passwd", InvalidRequest),
        ("gopher://site.test/", InvalidRequest),
        ("http://user:pass@site.test/", InvalidRequest),
        ("http:\\\\inside.test\\", UpstreamError),
        ("http://[::1", UpstreamError),
        ("http://site.test:99999/", InvalidRequest),
    ],
)
async def test_redirects_that_lead_astray(
    web: Web, fetcher: Fetcher, location: str, error: type[Exception]
) -> None:
    web.answers["/"] = reply(status=302, location=location)
    with pytest.raises(error):
        await fetcher.fetch(web.url("/"))
    assert web.asked == ["/"]


async def test_five_redirects_are_enough(web: Web, fetcher: Fetcher) -> None:
    for i in range(6):
        web.answers[f"/{i}"] = reply(status=307, location=f"/{i + 1}")
    web.answers["/6"] = reply("end")
    assert (await fetcher.fetch(web.url("/1"))).text == "end"
    with pytest.raises(UpstreamError, match="5 times"):
        await fetcher.fetch(web.url("/0"))
    web.answers["/round"] = reply(status=308, location="/round")
    with pytest.raises(UpstreamError):
        await fetcher.fetch(web.url("/round"))


async def test_robots_txt_is_respected_after_a_redirect_too(web: Web, fetcher: Fetcher) -> None:
    web.answers["/robots.txt"] = reply(
        "User-agent: zoran_ray\nDisallow: /private", content_type="text/plain"
    )
    web.answers["/private"] = reply("never")
    web.answers["/open"] = reply(status=302, location="/private")
    for path in ("/private", "/open"):
        with pytest.raises(PermissionDenied, match="robots"):
            await fetcher.fetch(web.url(path))
    assert web.asked == ["/open"]
    assert [path for path, _ in web.requests].count("/robots.txt") == 1


@pytest.mark.parametrize(("status", "allowed"), [(404, True), (403, True), (500, False), (503, False)])
async def test_sites_without_a_robots_txt(web: Web, fetcher: Fetcher, status: int, allowed: bool) -> None:
    web.answers["/robots.txt"] = reply(status=status)
    web.answers["/"] = reply("text")
    if allowed:
        assert (await fetcher.fetch(web.url("/"))).text == "text"
    else:
        with pytest.raises(PermissionDenied):
            await fetcher.fetch(web.url("/"))
        web.answers["/robots.txt"] = reply()
        assert (await fetcher.fetch(web.url("/"))).text == "text"


async def test_a_robots_txt_that_leads_inside_is_not_followed(web: Web, fetcher: Fetcher) -> None:
    web.answers["/robots.txt"] = reply(status=302, location="http://inside.test/robots.txt")
    with pytest.raises(PermissionDenied):
        await fetcher.fetch(web.url("/"))


async def test_large_pages_and_bombs_are_cut(web: Web, fetcher: Fetcher) -> None:
    web.answers["/large"] = reply("x" * 300_000, content_type="text/plain")
    web.answers["/bomb"] = reply(
        gzip.compress(bytes(50_000_000)), content_type="text/plain;charset=utf-16", content_encoding="gzip"
    )
    packed = gzip.compress(b"<p>packed")
    web.answers["/packed"] = reply(packed, content_encoding="gzip")
    page = await fetcher.fetch(web.url("/large"))
    assert (len(page.text), page.truncated) == (100_000, True)
    page = await fetcher.fetch(web.url("/bomb"))
    assert (len(page.text), page.truncated) == (50_000, True)
    page = await fetcher.fetch(web.url("/packed"))
    assert (page.text, page.truncated) == ("packed", False)


async def test_a_page_of_just_the_most_is_whole(web: Web, fetcher: Fetcher) -> None:
    web.answers["/"] = reply("x" * 100_000, content_type="text/plain")
    page = await fetcher.fetch(web.url("/"))
    assert (len(page.text), page.truncated) == (100_000, False)


async def test_a_page_without_an_end_ends(web: Web) -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 X\r\ncontent-type: text/plain\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x" * 10_000)
            await writer.drain()
            await asyncio.sleep(0)

    async def trickling(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 X\r\ncontent-type: text/plain\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async def silent(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(5)

    web.answers |= {"/endless": endless, "/trickling": trickling, "/silent": silent}
    guard = Guard(allow=[f"127.0.0.1:{web.port}"], resolve=here)
    fetcher = Fetcher(guard, FetchLimits(body_bytes=50_000, wall_s=0.5))
    assert (await fetcher.fetch(web.url("/endless"))).truncated
    for path in ("/trickling", "/silent"):
        with pytest.raises((DeadlineExceeded, UpstreamError)):
            await fetcher.fetch(web.url(path))
    await fetcher.close()


async def test_a_cancelled_fetch_closes_its_connection(web: Web, fetcher: Fetcher) -> None:
    left = asyncio.Event()

    async def waits(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 X\r\ncontent-type: text/plain\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x")
            try:
                await writer.drain()
            except OSError:
                break
            await asyncio.sleep(0.01)
        left.set()

    web.answers["/"] = waits
    task = asyncio.create_task(fetcher.fetch(web.url("/")))
    while not web.asked:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(1):
        await left.wait()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (reply(status=404), InvalidRequest),
        (reply(status=500), UpstreamError),
        (reply(status=429), UpstreamError),
        (reply(b"\x89PNG", content_type="image/png"), InvalidRequest),
        (reply(b"a\0b", content_type=""), InvalidRequest),
        (reply(b"xx", content_encoding="br"), UpstreamError),
        (reply(b"no gzip", content_encoding="gzip"), UpstreamError),
        (b"not http at all\r\n\r\n", UpstreamError),
        (b"HTTP/1.1 200 X\r\nx: " + b"y" * 200_000 + b"\r\n\r\n", UpstreamError),
        (b"", UpstreamError),
        (reply("short", content_length="100"), UpstreamError),
        (reply(status=302, content_type="text/html"), InvalidRequest),
    ],
)
async def test_answers_that_are_no_page(
    web: Web, fetcher: Fetcher, answer: bytes, error: type[Exception]
) -> None:
    web.answers["/"] = answer
    with pytest.raises(error):
        await fetcher.fetch(web.url("/"))


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        ("\u00e9".encode("latin-1"), "text/plain; charset=ISO-8859-1", "\u00e9"),
        ("\u20ac".encode("cp1252"), "text/plain; charset=latin1", "\u20ac"),
        (
            b"<meta charset='windows-1251'>" + "\u043c\u0438\u0440".encode("cp1251"),
            "text/html",
            "\u043c\u0438\u0440",
        ),
        (b"\xef\xbb\xbfx", "text/plain; charset=koi8-r", "x"),
        ("x\u00e9".encode("utf-16"), "text/plain", "x\u00e9"),
        (b"\xff\xfe", "application/json", ""),
        (b"\xffx", "text/plain; charset=utf-8", "\ufffdx"),
        (b"+AGE-", "text/plain; charset=utf-7", "+AGE-"),
        (b"\\u0041", "text/plain; charset=unicode_escape", "\\u0041"),
        (b"xn--a", "text/plain; charset=idna", "xn--a"),
        (b"x", "text/plain; charset=zlib", "x"),
        (b'{"a": 1}', "application/ld+json", '{"a": 1}'),
    ],
)
async def test_texts_in_many_encodings(
    web: Web, fetcher: Fetcher, body: bytes, kind: str, text: str
) -> None:
    web.answers["/"] = reply(body, content_type=kind)
    assert (await fetcher.fetch(web.url("/"))).text == text


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(who).issuer_name(who).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = folder / "cert.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, path


async def test_a_certificate_is_for_the_name_though_the_connection_goes_to_the_address(
    tmp_path: Path,
) -> None:
    context, path = certificate(tmp_path, "site.test")
    names: list[str | None] = []
    context.sni_callback = lambda sock, name, ctx: names.append(name)
    web = Web()
    await web.start(context)
    web.answers["/"] = reply("safe")
    trusting = ssl.create_default_context(cafile=str(path))
    guard = Guard(allow=[f"127.0.0.1:{web.port}"], resolve=here)
    fetcher = Fetcher(guard, transport=network(trusting))
    assert (await fetcher.fetch(f"https://site.test:{web.port}/")).text == "safe"
    assert set(names) == {"site.test"}
    with pytest.raises(UpstreamError):
        await fetcher.fetch(f"https://other.test:{web.port}/")
    await fetcher.close()
    stranger = Fetcher(guard)
    with pytest.raises(UpstreamError):
        await stranger.fetch(f"https://site.test:{web.port}/")
    await stranger.close()
    await web.stop()


async def test_the_tool_gives_a_long_page_piece_by_piece(web: Web, fetcher: Fetcher) -> None:
    web.answers["/"] = reply(
        "".join(map(chr, range(0x4E00, 0x4E00 + 250))), content_type="text/plain;charset=utf-8"
    )
    tool = FetchTool(fetcher, shown_chars=100)
    text, start = "", 0
    while True:
        seen = await tool.call({"url": web.url("/"), "start": start})
        assert seen.ok
        piece = seen.text.removeprefix(f"{web.url('/')}\n\n")
        text += piece.partition("\n\n[")[0]
        start += 100
        if not seen.truncated:
            break
        assert f"start={start}]" in piece
    assert text == "".join(map(chr, range(0x4E00, 0x4E00 + 250)))


async def test_a_toolbox_takes_the_tool_and_tells_a_refusal(web: Web, fetcher: Fetcher) -> None:
    import time

    from zoran_ray.tools.toolbox import Toolbox

    box = Toolbox([FetchTool(fetcher)], ["fetch"], {"network"})
    web.answers["/"] = reply("text")
    seen = await box.call("fetch", {"url": web.url("/")}, deadline=time.monotonic() + 5)
    assert seen.text.endswith("text")
    seen = await box.call("fetch", {"url": "http://10.0.0.1/"}, deadline=time.monotonic() + 5)
    assert not seen.ok
    assert "not public" in seen.text
