"""How gateways reach the one that keeps batches and uploaded files."""

from typing import Any

from actors.names import BATCH, call, plain_errors

CALL_S = 60.0


async def ask_batch(method: str, *args: Any) -> Any:
    """Calls a method of `BatchOffice`.

    Raises:
        ZoranError: What it raises, plain; `Unavailable` where it is silent.
    """
    with plain_errors("Batches are being started; try again shortly.", broken="Batches cannot be used now"):
        return await call(BATCH, "ask", method, *args, timeout_s=CALL_S)
