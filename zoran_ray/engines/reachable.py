"""Which arms can be reached from this process: all are asked at once, and none for longer than a while.

Knows neither providers nor what is served; asking one arm comes in as a function.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from zoran_ray.engines.offering import offer_row
from zoran_ray.engines.providers.reach import reach
from zoran_ray.offers import ArmSpec

Reach = Callable[[ArmSpec, Mapping[str, str], float], Awaitable[str | None]]
"""Arm, environment and seconds → why it cannot be reached, None if it can."""

TIMEOUT_S = 5.0
ALL_S = 8.0
AT_ONCE = 32


async def arm_rows(
    arms: Sequence[ArmSpec],
    environ: Mapping[str, str],
    reach: Reach = reach,
    timeout_s: float = TIMEOUT_S,
    all_s: float = ALL_S,
) -> list[dict[str, object]]:
    """One row for each arm, in their order: what is offered, `name`, `state` and `why`.

    Args:
        environ: Where keys are.
        reach: Asks one arm.
        timeout_s: Longest wait for one arm, in seconds.
        all_s: Longest wait for all of them, in seconds.
    """
    ends = asyncio.get_running_loop().time() + all_s
    places = asyncio.Semaphore(AT_ONCE)

    async def row(arm: ArmSpec) -> dict[str, object]:
        why = await asked(arm)
        state = "unreachable" if why else "reachable"
        return offer_row(arm) | {"name": arm.name, "state": state, "why": why or ""}

    async def asked(arm: ArmSpec) -> str | None:
        try:
            async with asyncio.timeout_at(ends), places:
                return await reach(arm, environ, timeout_s)
        except TimeoutError:
            return "no answer in time"
        except Exception as error:
            return f"asking it failed: {type(error).__name__}"  # its text may hold anything

    return list(await asyncio.gather(*map(row, arms)))
