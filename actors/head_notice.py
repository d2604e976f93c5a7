"""What a cluster's head tells whoever wants to join: which zoran it runs and what its clock says.

It stands in the GCS's key-value store, written every few seconds. `python -m actors.head_notice HOST:PORT`
reads it: in a process of its own, because Ray's client may wait or abort where something else listens.
"""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

PERIOD_S = 5.0
"""How often the head writes its clock, in seconds."""
PLAUSIBLE_S = 30.0
"""A clock that seems further off than this is looked at a second time."""
_KEY, _NAMESPACE = b"head", b"zoran"
_ANSWER_S = 10.0
_LOOK_S = 0.1


async def keep_telling(clock: Callable[[], float] = time.time) -> None:
    """Tell it until cancelled; this process is connected to Ray."""
    from ray.experimental.internal_kv import _internal_kv_put

    while True:
        said = json.dumps({"zoran": version("zoran_ray"), "clock_s": clock()}).encode()
        with contextlib.suppress(Exception):
            await asyncio.to_thread(_internal_kv_put, _KEY, said, overwrite=True, namespace=_NAMESPACE)
        await asyncio.sleep(PERIOD_S)


def read(address: str, clock: Callable[[], float] = time.time) -> dict[str, Any]:
    """What the head says.

    Returns:
        `refused`: it does not take our token; otherwise `ray`, `python`, and where a zoran serves there
        `zoran` and `ahead_s`, by how much our clock is ahead of its.
    """
    from ray._raylet import GcsClient  # type: ignore[attr-defined]
    from ray.exceptions import AuthenticationError

    try:
        gcs = GcsClient(address=address)
        cluster = json.loads(
            gcs.internal_kv_get(b"CLUSTER_METADATA", b"cluster", timeout=_ANSWER_S) or b"{}"
        )
    except AuthenticationError:
        return {"refused": True}

    def said() -> dict[str, Any]:
        return dict(json.loads(gcs.internal_kv_get(_KEY, _NAMESPACE, timeout=_ANSWER_S) or b"{}"))

    found = {"ray": cluster.get("ray_version"), "python": cluster.get("python_version")}
    first = said()
    if not first:
        return found
    return found | {"zoran": first["zoran"], "ahead_s": _ahead_s(first["clock_s"], said, clock)}


def _ahead_s(
    first_s: float, said: Callable[[], dict[str, Any]], clock: Callable[[], float]
) -> float | None:
    """None if nobody writes the head's clock any more."""
    ahead_s = clock() - first_s
    if -PLAUSIBLE_S <= ahead_s <= PLAUSIBLE_S:
        return ahead_s
    # Old, or of another clock: the next one is new.
    until = time.monotonic() + 2 * PERIOD_S
    while time.monotonic() < until:
        if (now_s := float(said()["clock_s"])) != first_s:
            return clock() - now_s
        time.sleep(_LOOK_S)
    return None


if __name__ == "__main__":
    sys.stdout.write(json.dumps(read(sys.argv[1])))
