"""Runs in place of the HAProxy binary: mends the configuration Serve wrote, then becomes HAProxy.

Serve's template binds its side ports on all interfaces, answers with HTML-less 500 pages and lets a
client switch off the very disconnect handling that stops generation. None of that is configurable, so
each configuration file is rewritten just before HAProxy reads it. Standard library only: it is run with
`python -S -E` on every reload, by path, and must start in milliseconds.
"""

import ctypes
import json
import os
import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

BINARY = "ZORAN_HAPROXY_BINARY"
RUN_DIR = "ZORAN_HAPROXY_RUN_DIR"
HEADER_TIMEOUT = "ZORAN_HAPROXY_HEADER_TIMEOUT_S"
TLS_CERT = "ZORAN_HAPROXY_TLS_CERT"
TLS_KEY = "ZORAN_HAPROXY_TLS_KEY"
FAR = "ZORAN_HAPROXY_FAR_GATEWAYS"
"""Set where gateways may be on other nodes."""
_PR_SET_PDEATHSIG = 1
_CHECK_S = 5
"""Seconds a gateway may take to say that it is well. By default it is the interval, one second: hundreds of
connections that come at once take that long, and Serve's slow fallback would get all their requests."""

# status: (reason phrase, type, code, message, seconds after which to try again)
_PAGES: Mapping[int, tuple[str, str, str, str, int | None]] = {
    400: (
        "Bad Request",
        "invalid_request_error",
        "bad_request",
        "The request is not valid HTTP or its head is too large.",
        None,
    ),
    408: (
        "Request Timeout",
        "invalid_request_error",
        "request_timeout",
        "The request head did not arrive in time.",
        None,
    ),
    500: ("Internal Server Error", "server_error", "internal_error", "The proxy failed.", None),
    502: (
        "Bad Gateway",
        "server_error",
        "upstream_error",
        "The gateway broke off; send the request again.",
        1,
    ),
    503: (
        "Service Unavailable",
        "server_error",
        "service_unavailable",
        "No gateway is ready; try again shortly.",
        2,
    ),
    504: ("Gateway Timeout", "server_error", "deadline_exceeded", "The gateway did not answer in time.", 5),
}
# Headers by which a client could change how Serve treats its request.
_SERVE_HEADERS = ("x-request-disconnect-disabled", "x-request-timeout-seconds")


# A node whose cable is out says nothing; without these, requests at its gateway would wait as long as an
# answer may take. They end after idle + interval × count seconds, and what it has not acknowledged as soon.
_KEEPALIVE = """    option srvtcpka
    srvtcpka-idle 4s
    srvtcpka-intvl 2s
    srvtcpka-cnt 3
    default-server tcp-ut 10s
"""


def page(status: int) -> bytes:
    """A complete HTTP response with OpenAI's error body, as HAProxy's `errorfile` wants it."""
    reason, kind, code, message, retry_s = _PAGES[status]
    body = json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}}).encode()
    head = [
        f"HTTP/1.1 {status} {reason}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "connection: close",
        *([f"retry-after: {retry_s}"] if retry_s is not None else []),
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


# Forward secrecy and authenticated encryption alone; TLS 1.3 has no other.
_TLS = "ssl-min-ver TLSv1.2 ciphers ECDHE+AESGCM:ECDHE+CHACHA20 alpn h2,http/1.1"


def pair_file(run_dir: str) -> Path:
    """Where HAProxy reads certificate and key from, in one file."""
    return Path(run_dir, "tls.pem")


def copy_pair(run_dir: str, certificate: str, key: str) -> None:
    """Put both into one private file, unless they do not belong together.

    Serve starts HAProxy anew whenever a gateway comes or goes. In the middle of a rotation that would leave
    us without a proxy: what was copied last stays.
    """
    import ssl  # 20 ms that a start without TLS does not pay

    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key, password=lambda: "")
        both = Path(certificate).read_bytes().rstrip() + b"\n" + Path(key).read_bytes()
    except (OSError, ssl.SSLError) as error:
        sys.stderr.write(f"{certificate} and {key} are no pair, the last one stays: {error}\n")
        return
    # Another start may do the same.
    draft = pair_file(run_dir).with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(both)
    draft.replace(pair_file(run_dir))


# Where a gateway breaks off before its answer, HAProxy 2.8 closes the client's connection without a word,
# unless it was the connection's first request. So each becomes the first one of a connection to ourselves:
# whoever waits for a node that is lost is told. Half of all connections are our own then.
_FAR = """frontend public
{bind}
    maxconn {maxconn}
    default_backend ourselves
backend ourselves
    option http-server-close
    http-reuse never
    server inner unix@{socket}
frontend http_frontend
    bind unix@{socket} mode 600
"""


def _told_of_far_gateways(config: str, run_dir: str) -> str:
    """The configuration with a second frontend behind the public one; see `_FAR`."""
    # Not twice as many in all: HAProxy does not start where it may not open as many files.
    (most,) = (int(each) for each in re.findall(r"(?m)^\s*maxconn (\d+)$", config))
    return re.sub(
        r"(?m)^frontend http_frontend\n(\s+bind .*)\n",
        lambda side: _FAR.format(bind=side[1], maxconn=most // 2, socket=f"{run_dir}/inner.sock"),
        config,
        count=1,
    )


def rewritten(
    config: str, run_dir: str, header_timeout_s: int, *, tls: bool = False, far: bool = False
) -> str:
    """The configuration with side ports moved to sockets in `run_dir`, our error pages and a time limit.

    Args:
        config: What Serve wrote, or an earlier result of this function (which it leaves as it is).
        run_dir: Folder only its owner can enter.
        header_timeout_s: Seconds a client has to send a request head.
        tls: Whether the public side speaks TLS, with the pair in `pair_file(run_dir)`.
        far: Whether gateways may be on other nodes.
    """
    if "# zoran" in config:
        return config
    config = re.sub(r"(?m)^(\s*)errorfile .*\n", "", config)
    # With it HAProxy 2.8 overlooks most clients that go away while they wait for an answer.
    config = re.sub(r"(?m)^[ \t]*option splice-request[ \t]*\n", "", config)
    # One datagram for each request to a log nobody has to have; the gateway's own account says more.
    config = re.sub(r"(?m)^[ \t]*log global[ \t]*\n", "", config)
    # Where the public side listens on all interfaces its line looks the same, and stays.
    config = re.sub(
        r"(?m)(?<!frontend http_frontend\n)^([ \t]*)bind \*?:(\d+)[ \t]*$",
        lambda side: f"{side[1]}bind unix@{run_dir}/side-{side[2]}.sock mode 600",
        config,
    )
    config = config.replace("mode 666 level admin", "mode 600 level admin")
    pages = "".join(f"    errorfile {status} {run_dir}/{status}.http\n" for status in _PAGES)
    config = re.sub(
        r"(?m)^defaults$",
        f"# zoran\ndefaults\n    timeout http-request {header_timeout_s}s\n"
        f"    timeout check {_CHECK_S}s\n{_KEEPALIVE}{pages.rstrip()}",
        config,
        count=1,
    )
    # Before the gateway is there, every path is one that comes back later, not one that does not exist.
    config = re.sub(
        r"(?m)^(backend default_backend\n)(\s+)http-request return .*$",
        r"\1\2http-request deny deny_status 503",
        config,
    )
    dropped = "".join(f"    http-request del-header {name}\n" for name in _SERVE_HEADERS)
    secured = f" ssl crt {pair_file(run_dir)} {_TLS}" if tls else ""
    config = re.sub(
        r"(?m)^(frontend http_frontend\n\s+bind .*)\n", rf"\1{secured}\n{dropped}", config, count=1
    )
    return _told_of_far_gateways(config, run_dir) if far else config


def _die_with_parent() -> None:
    """A proxy that outlived Serve's manager would share the port with the next, knowing only the dead."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def main(argv: list[str]) -> None:
    """Rewrite the file after `-f`, if there is one, and become HAProxy."""
    run_dir = os.environ[RUN_DIR]
    for status in _PAGES:
        Path(run_dir, f"{status}.http").write_bytes(page(status))
    certificate, key = os.environ.get(TLS_CERT), os.environ.get(TLS_KEY)
    if certificate and key:
        copy_pair(run_dir, certificate, key)
    if "-f" in argv:
        path, limit_s = Path(argv[argv.index("-f") + 1]), int(os.environ[HEADER_TIMEOUT])
        tls, far = bool(certificate and key), bool(os.environ.get(FAR))
        path.write_text(rewritten(path.read_text(), run_dir, limit_s, tls=tls, far=far))
    _die_with_parent()
    binary = os.environ[BINARY]
    os.execv(binary, [binary, *argv])  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
