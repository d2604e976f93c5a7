"""Whether this machine fits a cluster's head: token, versions, clock. Asked before Ray is started here."""

import json
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from zoran_ray.errors import ConfigError, Unreachable
from zoran_ray.ray_start import Endpoint

MOST_SKEW_S = 30.0
"""Clocks further apart make keys expire, budgets begin a day and entries stand at wrong times."""
_PATIENCE_S = 60.0


def require_fit(head: Endpoint, variables: Mapping[str, str], patience_s: float = _PATIENCE_S) -> None:
    """Ask the head and compare.

    Args:
        head: Something listens there.
        variables: The environment that Ray will be started with.
        patience_s: Longest wait for its answer, in seconds.

    Raises:
        ConfigError: It refuses our token, runs another version, or its clock says something else.
        Unreachable: What listens there is no Ray head.
    """
    command = [sys.executable, "-m", "actors.head_notice", str(head)]
    try:
        done = subprocess.run(
            command, env=dict(variables), capture_output=True, timeout=patience_s, check=False
        )
        said = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        raise Unreachable(
            f"What listens at {head} does not answer as Ray's head does. Give the address of its GCS, "
            "as `zoran cluster head` was told with --port (6379)."
        ) from None
    judge(said, {"ray": version("ray"), "python": platform.python_version(), "zoran": version("zoran_ray")})


def judge(said: Mapping[str, Any], ours: Mapping[str, str]) -> None:
    """Raises: ConfigError: What the head said does not fit what is here; says what to do."""
    if said.get("refused"):
        raise ConfigError(
            "The head refuses this token. Copy the file that the head was started with (--token-file) "
            "to this machine; `zoran cluster check` on both sides says whether the files will do.",
            param="token_file",
        )
    names = {"ray": "Ray", "python": "Python", "zoran": "zoran_ray"}
    wrong = [
        f"{names[each]} {said[each]} (here {ours[each]})"
        for each in names
        if said.get(each) not in (None, ours[each])
    ]
    if wrong:
        raise ConfigError(
            f"The head runs {', '.join(wrong)}. All nodes need the same: use the head's image here, or "
            "install what it has.",
            param="version",
        )
    ahead_s = said.get("ahead_s")
    if ahead_s is not None and abs(ahead_s) > MOST_SKEW_S:
        where = "ahead of" if ahead_s > 0 else "behind"
        raise ConfigError(
            f"This machine's clock is {abs(ahead_s):.0f} s {where} the head's. Set both by a time server "
            "(`timedatectl set-ntp true`), then join again.",
            param="clock",
        )
