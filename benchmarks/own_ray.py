"""The environment of a process with a Ray cluster of its own: at usual priority, closed to all others."""

import secrets

from benchmarks.readme import ROOT


def own_ray() -> dict[str, str]:
    """Variables that such a process needs besides those there are; the token is another one each time."""
    return {
        "PYTHONPATH": str(ROOT),
        "RAY_worker_niceness": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }
