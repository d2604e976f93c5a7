"""The public port with a certificate of one's own: the real HAProxy, with Serve's configuration made ours.

Behind it stands a small server that streams; what the whole stack does is in `test_stack_tls.py`.
"""

import asyncio
import contextlib
import http.client
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from actors import haproxy
from tests.actors.test_haproxy import free_port, launch, written_by_serve
from tests.security.pairs import NAME, Authority, Pair

PIECES = [f"data: {number}\n\n".encode() for number in range(4)]


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    return folder


class Door:
    """HAProxy on a port of its own, in front of a server that streams.

    Attributes:
        port: Where it listens.
        left: Set once a client that waited has gone.
    """

    left: asyncio.Event

    def __init__(self, run_dir: Path, pair: Pair, behind: int) -> None:
        self.port = free_port()
        written_by_serve(run_dir, "127.0.0.1", port=self.port, server_port=behind)
        command = launch(run_dir, "-db", "-f", str(run_dir / "haproxy.cfg"))
        command["env"] |= {haproxy.TLS_CERT: str(pair.certificate), haproxy.TLS_KEY: str(pair.key)}
        self.process = subprocess.Popen(**command, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)
        raise AssertionError("HAProxy does not listen")

    def end(self) -> None:
        self.process.kill()
        self.process.wait(10)


async def gateway(left: asyncio.Event, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Streams slowly; `/waits` never answers, and tells when its client has gone."""
    with contextlib.closing(writer), contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        head = await reader.readuntil(b"\r\n\r\n")
        if b"/waits" in head:
            with contextlib.suppress(ConnectionResetError):
                while await reader.read(100):
                    pass
            left.set()
            return
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        for piece in PIECES:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
            await asyncio.sleep(0.3)
        writer.write(b"0\r\n\r\n")
        await writer.drain()


@contextlib.asynccontextmanager
async def open_door(run_dir: Path, pair: Pair) -> AsyncIterator[Door]:
    left = asyncio.Event()
    async with await asyncio.start_server(partial(gateway, left), "127.0.0.1", 0) as server:
        door = await asyncio.to_thread(Door, run_dir, pair, server.sockets[0].getsockname()[1])
        door.left = left
        try:
            await asyncio.sleep(1)  # until HAProxy has looked whether the server is well
            yield door
        finally:
            await asyncio.to_thread(door.end)


def client(authority: Authority, *, http2: bool) -> httpx.AsyncClient:
    context = ssl.create_default_context(cafile=authority.file)
    return httpx.AsyncClient(verify=context, http1=not http2, http2=http2, trust_env=False, timeout=20)


@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
async def test_answers_stream_through_tls(
    run_dir: Path, authority: Authority, pair: Pair, http2: bool
) -> None:
    async with open_door(run_dir, pair) as door, client(authority, http2=http2) as asking:
        began, times, said = time.monotonic(), [], b""
        async with asking.stream("GET", f"https://127.0.0.1:{door.port}/x") as response:
            async for piece in response.aiter_raw():
                times.append(time.monotonic() - began)
                said += piece
    assert response.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
    assert said == b"".join(PIECES)
    assert len(times) >= len(PIECES), "the pieces came together"


@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
async def test_a_client_that_leaves_is_noticed(
    run_dir: Path, authority: Authority, pair: Pair, http2: bool
) -> None:
    async with open_door(run_dir, pair) as door, client(authority, http2=http2) as asking:
        waits = asyncio.create_task(asking.post(f"https://127.0.0.1:{door.port}/waits", content=b"{}"))
        await asyncio.sleep(0.5)
        waits.cancel()
        await asking.aclose()  # of a stream alone that was given up, httpcore tells nobody
        await asyncio.wait_for(door.left.wait(), 10)


def negotiated(port: int, authority: Authority, least: ssl.TLSVersion, most: ssl.TLSVersion) -> str | None:
    context = ssl.create_default_context(cafile=authority.file)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that we name what is too old
        context.minimum_version = least
        context.maximum_version = most
    with (
        socket.create_connection(("127.0.0.1", port), 5) as plain,
        context.wrap_socket(plain, server_hostname=NAME) as secured,
    ):
        return secured.version()


async def test_nothing_older_than_tls_1_2_and_nothing_in_the_clear(
    run_dir: Path, authority: Authority, pair: Pair
) -> None:
    def ask(port: int) -> None:
        for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
            assert negotiated(port, authority, version, version) == name
        with pytest.raises((ssl.SSLError, ConnectionError)):
            negotiated(port, authority, ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
        plain = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with pytest.raises((urllib.error.URLError, http.client.HTTPException, ConnectionError)):
            plain.open(f"http://127.0.0.1:{port}/x", timeout=5)

    async with open_door(run_dir, pair) as door:
        await asyncio.to_thread(ask, door.port)


async def test_a_name_that_is_not_the_certificates_is_refused(
    run_dir: Path, authority: Authority, pair: Pair
) -> None:
    async with open_door(run_dir, pair) as door, client(authority, http2=False) as asking:
        with pytest.raises(httpx.ConnectError, match="Hostname mismatch"):
            await asking.get(
                f"https://127.0.0.1:{door.port}/x", extensions={"sni_hostname": "other.example"}
            )


def test_the_pair_is_copied_for_haproxy_alone(run_dir: Path, pair: Pair) -> None:
    haproxy.copy_pair(str(run_dir), str(pair.certificate), str(pair.key))
    copied = haproxy.pair_file(str(run_dir))
    assert copied.stat().st_mode & 0o777 == 0o600
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(copied)
    assert [path.name for path in run_dir.iterdir()] == ["tls.pem"]


def test_a_rotation_that_is_half_done_changes_nothing(
    run_dir: Path, authority: Authority, pair: Pair, capfd: pytest.CaptureFixture[str]
) -> None:
    haproxy.copy_pair(str(run_dir), str(pair.certificate), str(pair.key))
    before, new = haproxy.pair_file(str(run_dir)).read_bytes(), authority.pair("new")
    for certificate, key in ((new.certificate, pair.key), (pair.certificate, run_dir / "none")):
        haproxy.copy_pair(str(run_dir), str(certificate), str(key))
        assert haproxy.pair_file(str(run_dir)).read_bytes() == before
        assert "the last one stays" in capfd.readouterr().err
    haproxy.copy_pair(str(run_dir), str(new.certificate), str(new.key))
    assert haproxy.pair_file(str(run_dir)).read_bytes() != before


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_only_the_public_side_speaks_tls(run_dir: Path, host: str) -> None:
    original = written_by_serve(run_dir, host)
    config = haproxy.rewritten(original, str(run_dir), 7, tls=True)
    (line,) = [line for line in config.splitlines() if " ssl " in line]
    assert line.strip().startswith("bind 127.0.0.1:8080 ssl" if host == "127.0.0.1" else "bind *:8080 ssl")
    assert "http-request del-header x-request-timeout-seconds" in config
    assert " ssl " not in haproxy.rewritten(original, str(run_dir), 7)
