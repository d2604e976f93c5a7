"""Removes containers that outlived their job; only this deployment's, which it knows by its label.

A container ends with the connection of whoever made it. What is left for the reaper is one that was made
and never started, one whose removal failed, and one that is past its deadline.
"""

import contextlib
from typing import Any

from zoran_ray.errors import SandboxUnavailable
from zoran_ray.sandbox.daemon import connected
from zoran_ray.sandbox.labels import DEPLOYMENT, JOB, Labels

_SETTLING_S = 20.0
"""A container that does not run may be about to; after this long it is not."""


def reap(host: str | None, deployment: str, now_s: float, *, running: bool = False) -> tuple[str, ...]:
    """Remove this deployment's orphans.

    Args:
        host: As in `Backend`.
        deployment: Whose.
        now_s: Seconds since 1970.
        running: Also those that run and have time left: their jobs end with them.

    Returns:
        Names of the jobs whose containers were removed.

    Raises:
        SandboxUnavailable: The daemon does not answer.
    """
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException

    removed = []
    try:
        with connected(host) as client:
            wanted = {"label": f"{DEPLOYMENT}={deployment}"}
            for container in client.api.containers(all=True, filters=wanted):
                if is_orphan(container, deployment, now_s) or (running and _is_ours(container, deployment)):
                    with contextlib.suppress(APIError):  # it went by itself meanwhile
                        client.api.remove_container(container["Id"], force=True)
                        removed.append(str(container["Labels"].get(JOB, "")))
    except (DockerException, RequestException) as error:
        raise SandboxUnavailable(f"The Docker daemon broke off ({type(error).__name__}).") from None
    return tuple(removed)


def is_orphan(container: dict[str, Any], deployment: str, now_s: float) -> bool:
    """Whether nobody needs it any more.

    Args:
        container: As Docker lists it.
        deployment: Whose it has to be.
        now_s: Seconds since 1970.
    """
    labels = Labels.read(container.get("Labels") or {})
    if labels is None or labels.deployment != deployment:
        return False
    return now_s > labels.deadline_s or (
        container.get("State") != "running" and now_s > labels.made_at_s + _SETTLING_S
    )


def _is_ours(container: dict[str, Any], deployment: str) -> bool:
    return (container.get("Labels") or {}).get(DEPLOYMENT) == deployment
