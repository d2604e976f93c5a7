"""How gateways reach the one that keeps tasks."""

from typing import Any

from ray.exceptions import RayError, RayTaskError

from actors.names import AUTOPILOT, call
from zoran_ray.errors import Unavailable, ZoranError, plain

CALL_S = 60.0
"""Longer than anybody waits for an event."""


async def ask_autopilot(method: str, *args: Any) -> Any:
    """Calls a method of `TaskOffice`.

    Raises:
        ZoranError: What it raises, plain; `Unavailable` where it is silent.
    """
    try:
        return await call(AUTOPILOT, "ask", method, *args, timeout_s=CALL_S)
    except ZoranError as error:
        raise plain(error) from None
    except RayTaskError as bug:
        # Without its text, which may hold a part of a repository.
        kind = type(bug.cause).__name__ if bug.cause else "failure"
        raise Unavailable(f"Tasks cannot be used now ({kind}); the server's log says more.") from None
    except (TimeoutError, RayError, ValueError):  # the last where there is no actor of this name
        raise Unavailable("Tasks are being started; try again shortly.", retry_after_s=2.0) from None
