"""Runs git so that nothing but our own words decides what it does. Knows no repository's content.

No configuration of the machine or the user, no hooks, no prompts, no submodules, few protocols, and a time
limit for each command. Source: git-config(1), git(1) "Environment Variables".
"""

import base64
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from zoran_ray.errors import ConfigError, ZoranError

_FIXED = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.askPass": "",
    "credential.helper": "",
    "protocol.allow": "never",
    "protocol.file.allow": "always",
    "protocol.http.allow": "always",
    "protocol.https.allow": "always",
    "transfer.fsckObjects": "true",
    "submodule.recurse": "false",
    "fetch.recurseSubmodules": "false",
    "push.recurseSubmodules": "no",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "http.followRedirects": "false",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "30",
    "user.useConfigOnly": "true",
}


class GitError(ZoranError):
    """A command of git failed; the message is git's last line, without addresses and secrets."""

    code = "git_failed"


class GitCommands:
    """Commands on one bare repository.

    (GitPython, which reads the objects, would hand each command our whole environment.)

    Args:
        folder: The repository's.
        token: For `https` remotes, as a password; None for none.
        timeout_s: Longest command, in seconds.
    """

    def __init__(self, folder: Path, token: str | None = None, timeout_s: float = 120.0) -> None:
        self.folder = folder
        self.environ = _environ(token)
        self._timeout_s = timeout_s

    def run(self, *words: str, given: bytes = b"", environ: Mapping[str, str] | None = None) -> bytes:
        """What a command writes.

        Args:
            words: After `git`.
            given: Its standard input.
            environ: More variables.

        Raises:
            GitError: It failed or did not end in time.
            ConfigError: There is no git.
        """
        try:
            ended = subprocess.run(
                ("git", *words),  # noqa: S607
                cwd=self.folder, env={**self.environ, **(environ or {})}, input=given,
                capture_output=True, timeout=self._timeout_s, check=False,
            )  # fmt: skip
        except FileNotFoundError as error:
            raise ConfigError("There is no `git` on this machine. Install it.") from error
        except subprocess.TimeoutExpired:
            raise GitError(f"`git {words[0]}` did not end within {self._timeout_s:g} s.") from None
        if ended.returncode:
            raise GitError(f"`git {words[0]}` failed: {_last_line(ended.stderr)}")
        return ended.stdout

    def line(self, *words: str, given: bytes = b"", environ: Mapping[str, str] | None = None) -> str:
        """The one line that a command writes. Raises: As `run`."""
        return self.run(*words, given=given, environ=environ).decode(errors="replace").strip()


def _last_line(said: bytes) -> str:
    """What git said last, without what stands in an address."""
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
    text = lines[-1] if lines else "it said nothing"
    return " ".join(word if "://" not in word else "…" for word in text.split())[:300]


def _environ(token: str | None) -> dict[str, str]:
    given = dict(_FIXED)
    if token:
        pair = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        given["http.extraHeader"] = f"Authorization: Basic {pair}"
    environ = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "LC_ALL": "C",
        "GIT_CONFIG_COUNT": str(len(given)),
    }
    for number, (key, value) in enumerate(given.items()):
        environ[f"GIT_CONFIG_KEY_{number}"], environ[f"GIT_CONFIG_VALUE_{number}"] = key, value
    return environ
