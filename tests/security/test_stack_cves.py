"""Published holes of gateways, tried on a whole server from outside."""

import socket
import ssl

import pytest

from tests.security.locked import Locked

pytestmark = pytest.mark.integration

HOSTS = (
    "127.0.0.1/health?x=",
    "127.0.0.1/health#",
    "127.0.0.1/metrics/../health",
    "x@127.0.0.1",
    "[::1/health",
    "127.0.0.1:99999999",
    "",
)


def status_of(locked: Locked, head: str) -> int:
    """What a request with exactly this head is answered."""
    context = ssl.create_default_context(cafile=locked.authority.file)
    with (
        socket.create_connection(("127.0.0.1", locked.stack.port), 10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        secured.settimeout(20)
        secured.sendall(head.encode() + b"connection: close\r\n\r\n")
        return int(secured.recv(1000).split(b" ")[1])


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("path", ["/v1/models", "/metrics", "/v1/journal/head", "/v1/chat/completions"])
@pytest.mark.parametrize("cve", ["CVE-2026-48710", "CVE-2026-49468"])
def test_a_host_header_opens_no_route(locked: Locked, cve: str, path: str, host: str) -> None:
    method = "POST" if path.endswith("completions") else "GET"
    for more in ("", "x-forwarded-host: 127.0.0.1\r\n", "x-forwarded-prefix: /health\r\n"):
        head = f"{method} {path} HTTP/1.1\r\nhost: {host}\r\n{more}content-length: 0\r\n"
        assert status_of(locked, head) in (400, 401)


@pytest.mark.parametrize(
    "path", ["//v1/models", "/health/../v1/models", "/v1/models/", "/V1/models", "/v1%2fmodels"]
)
@pytest.mark.parametrize("cve", ["CVE-2026-48710"])
def test_a_path_written_otherwise_opens_none(locked: Locked, cve: str, path: str) -> None:
    assert status_of(locked, f"GET {path} HTTP/1.1\r\nhost: x\r\n") in (307, 400, 401, 404)


@pytest.mark.parametrize(
    ("cve", "path"),
    [
        ("CVE-2026-42271", "/mcp-rest/test/connection"),
        ("CVE-2026-42271", "/mcp-rest/test/tools/list"),
        ("CVE-2026-40217", "/guardrails/test_custom_code"),
        ("CVE-2023-48022", "/api/jobs/"),
        ("CVE-2023-48023", "/log_proxy"),
    ],
)
def test_no_such_route_even_with_a_key(locked: Locked, cve: str, path: str) -> None:
    config = {"transport": "stdio", "command": "id", "args": [], "entrypoint": "id"}
    with locked.client() as asking:
        answer = asking.post(path, json=config)
        assert answer.status_code in (404, 405), answer.text
        assert answer.json()["error"]["type"] == "invalid_request_error"
