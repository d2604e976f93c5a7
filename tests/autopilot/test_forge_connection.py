"""Servers that do their worst: a request ends in time, with little read, and nothing goes elsewhere."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from zoran_ray.autopilot.forge import GitHubForge, PlainRemote, forge_of
from zoran_ray.autopilot.forge import connection as bounded
from zoran_ray.autopilot.forge.requests import Requests
from zoran_ray.errors import (
    ConfigError,
    DeadlineExceeded,
    ForgeRefused,
    InvalidRequest,
    UpstreamError,
    ZoranError,
)

OK = b"HTTP/1.1 200 OK\r\n"
Behaviour = Callable[[socket.socket, threading.Event], None]


@pytest.fixture
def ended() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def serve(behave: Behaviour, ended: threading.Event) -> tuple[str, list[bytes]]:
    """A server's address, and what it has heard."""
    heard: list[bytes] = []
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(0.05)

    def run() -> None:
        with listening:
            while not ended.is_set():
                try:
                    peer, _ = listening.accept()
                except TimeoutError:
                    continue
                with peer:
                    peer.settimeout(5)
                    heard.append(peer.recv(65536))
                    try:
                        behave(peer, ended)
                    except OSError:
                        continue

    threading.Thread(target=run, daemon=True).start()
    return f"http://127.0.0.1:{listening.getsockname()[1]}", heard


def drips_headers(peer: socket.socket, ended: threading.Event) -> None:
    peer.sendall(OK)
    while not ended.wait(0.02):
        peer.sendall(b"x")


def drips_body(peer: socket.socket, ended: threading.Event) -> None:
    peer.sendall(OK + b"content-length: 1000000\r\n\r\n")
    while not ended.wait(0.02):
        peer.sendall(b" ")


def never_stops(peer: socket.socket, ended: threading.Event) -> None:
    peer.sendall(OK + b"transfer-encoding: chunked\r\n\r\n")
    while not ended.is_set():
        peer.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")


def packs(peer: socket.socket, ended: threading.Event) -> None:
    peer.sendall(OK + b"content-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}")


def nests(peer: socket.socket, ended: threading.Event) -> None:
    body = b"[" * 200_000
    peer.sendall(OK + b"content-length: %d\r\n\r\n" % len(body) + body)


def talks_nonsense(peer: socket.socket, ended: threading.Event) -> None:
    peer.sendall(b"\x00\xff" * 100 + b"\r\n\r\n")


@pytest.mark.parametrize(
    ("behave", "kind"),
    [
        (drips_headers, DeadlineExceeded),
        (drips_body, DeadlineExceeded),
        (never_stops, UpstreamError),
        (packs, UpstreamError),
        (nests, UpstreamError),
        (talks_nonsense, UpstreamError),
    ],
)
def test_a_request_ends(
    behave: Behaviour, kind: type[ZoranError], ended: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded, "MOST_ANSWER_BYTES", 1024 * 1024)
    origin, heard = serve(behave, ended)
    with pytest.raises(kind):
        GitHubForge(Requests(origin, "acme/widgets", "t", deadline_s=1.0)).get(1)
    assert len(heard) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_token_follows_no_redirect(status: int, ended: threading.Event) -> None:
    def other(peer: socket.socket, ended: threading.Event) -> None:
        peer.sendall(OK + b"content-length: 2\r\n\r\n{}")

    elsewhere, heard_there = serve(other, ended)

    def redirects(peer: socket.socket, ended: threading.Event) -> None:
        head = f"HTTP/1.1 {status} Moved\r\nlocation: {elsewhere}/x\r\ncontent-length: 0\r\n\r\n"
        peer.sendall(head.encode())

    origin, heard = serve(redirects, ended)
    with pytest.raises(ForgeRefused, match="moved"):
        GitHubForge(Requests(origin, "acme/widgets", "t")).get(1)
    assert len(heard) == 1
    assert heard_there == []


@pytest.mark.parametrize(
    ("api_url", "repository", "token"),
    [
        ("http://example.com", "a/b", "t"),
        ("https://me:secret@example.com", "a/b", "t"),
        ("https://example.com?x", "a/b", "t"),
        ("ftp://example.com", "a/b", "t"),
        ("", "a/b", "t"),
        ("https://example.com", "a/b/c", "t"),
        ("https://example.com", "../b", "t"),
        ("https://example.com", "a/..", "t"),
        ("https://example.com", "a/b?x", "t"),
        ("https://example.com", "a", "t"),
        ("https://example.com", "a/b", ""),
        ("https://example.com", "a/b", "t\r\nx: y"),
    ],
)
def test_what_is_no_forge_is_not_asked(api_url: str, repository: str, token: str) -> None:
    with pytest.raises(ConfigError):
        Requests(api_url, repository, token)


def test_a_remote_has_the_forge_that_the_operator_named() -> None:
    enterprise = {"git.example.com:8443": "https://git.example.com:8443/api/v3"}
    assert isinstance(forge_of("https://github.com/acme/widgets.git", "t"), GitHubForge)
    assert isinstance(forge_of("https://git.example.com:8443/acme/widgets", "t", enterprise), GitHubForge)
    for remote, token in {
        "file:///srv/widgets.git": "t",
        "https://example.com/acme/widgets": "t",
        "https://github.com.example.com/acme/widgets": "t",
        "https://github.com/acme/widgets": None,
    }.items():
        assert isinstance(forge_of(remote, token), PlainRemote), remote
    with pytest.raises(InvalidRequest):
        forge_of("https://me:secret@github.com/acme/widgets", "t")
