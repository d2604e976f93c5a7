"""How gateways reach the one that keeps tasks."""

from typing import Any

from actors.names import AUTOPILOT, call, plain_errors

CALL_S = 60.0
"""Longer than anybody waits for an event."""


async def ask_autopilot(method: str, *args: Any) -> Any:
    """Calls a method of `TaskOffice`.

    Raises:
        ZoranError: What it raises, plain; `Unavailable` where it is silent.
    """
    with plain_errors("Tasks are being started; try again shortly.", broken="Tasks cannot be used now"):
        return await call(AUTOPILOT, "ask", method, *args, timeout_s=CALL_S)
