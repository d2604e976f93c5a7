"""`git http-backend` for one request. Source: git-http-backend(1), RFC 3875 (CGI)."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

GIT_PATH = re.compile(
    r"/(?P<name>[\w.\-]+/[\w.\-]+?)(?:\.git)?(?P<what>/info/refs|/git-upload-pack|/git-receive-pack)"
)
_TIMEOUT_S = 60.0


def backend(
    folder: Path, name: str, what: str, method: str, query: str, headers: Mapping[str, str], body: bytes,
    login: str,
) -> tuple[int, list[tuple[str, str]], bytes]:  # fmt: skip
    """Status, headers and body of git's answer.

    Args:
        folder: Of all repositories.
        login: Who asks; may read and push.
    """
    environ = {
        "PATH": os.environ.get("PATH", os.defpath),
        "GIT_PROJECT_ROOT": str(folder),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "PATH_INFO": f"/{name}.git{what}",
        "QUERY_STRING": query,
        "REQUEST_METHOD": method,
        "REMOTE_USER": login,
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": headers.get("content-type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_CONTENT_ENCODING": headers.get("content-encoding", ""),
        "GIT_PROTOCOL": headers.get("git-protocol", ""),
    }
    done = subprocess.run(
        ("git", "http-backend"),
        env=environ,
        input=body,
        capture_output=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    head, _, rest = done.stdout.partition(b"\r\n\r\n")
    lines = [line.partition(": ") for line in head.decode("latin-1").split("\r\n") if line]
    said = [(name, value) for name, _, value in lines]
    status = next((int(value.split()[0]) for name, value in said if name.lower() == "status"), 200)
    return status, [pair for pair in said if pair[0].lower() != "status"], rest
