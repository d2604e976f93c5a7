"""How gateways reach the one that keeps batches and uploaded files."""

from typing import Any

from ray.exceptions import RayError, RayTaskError

from actors.names import BATCH, call
from zoran_ray.errors import Unavailable, ZoranError, plain

CALL_S = 60.0


async def ask_batch(method: str, *args: Any) -> Any:
    """Calls a method of `BatchOffice`.

    Raises:
        ZoranError: What it raises, plain; `Unavailable` where it is silent.
    """
    try:
        return await call(BATCH, "ask", method, *args, timeout_s=CALL_S)
    except ZoranError as error:
        raise plain(error) from None
    except RayTaskError as bug:
        # Without its text, which may hold a part of a file.
        kind = type(bug.cause).__name__ if bug.cause else "failure"
        raise Unavailable(f"Batches cannot be used now ({kind}); the server's log says more.") from None
    except (TimeoutError, RayError, ValueError):  # the last where there is no actor of this name
        raise Unavailable("Batches are being started; try again shortly.", retry_after_s=2.0) from None
