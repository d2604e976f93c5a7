"""Asking a gateway in the name of a key: the way of everybody in the cluster who asks models for somebody.

Any gateway is asked through its Serve handle, and told in whose name: the id of a key. So every model,
strategy, limit, budget and privacy profile of that key holds; a key that is revoked stops what is asked in
its name; no key is kept in the clear; and there is no route or header by which anybody outside the cluster
could speak in another's name.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import orjson

from zoran_ray.batch.outcome import Outcome
from zoran_ray.errors import Unavailable, ZoranError, plain

_GRACE_S = 5.0


class GatewayAsking:
    """Asks whichever gateway Serve chooses.

    Args:
        request_timeout_s: Longest that a gateway takes for an answer, in seconds.
        gateway: Gives the Serve handle of the gateways.
    """

    def __init__(self, request_timeout_s: float, gateway: Callable[[], Any] | None = None) -> None:
        self._wait_s = request_timeout_s + _GRACE_S
        self._gateway = gateway or _gateway
        self._handle: Any = None

    async def __call__(self, key_id: str, path: str, body: Mapping[str, Any], request_id: str) -> Outcome:
        """One try at one gateway. A cancellation stops what was asked, and the model with it.

        Args:
            key_id: In whose name.
            path: An endpoint, as `/v1/chat/completions`.
            body: What it is asked; it does not stream.
            request_id: By which the log has it.

        Raises:
            ZoranError: None answered.
        """
        try:
            # The first time it asks the controller, which may take its time.
            handle = self._handle = self._handle or await asyncio.to_thread(self._gateway)
            response = handle.ask.remote(path, orjson.dumps(body), key_id, request_id)
            async with _cancelled_with(response), asyncio.timeout(self._wait_s):
                outcome: Outcome = await response
                return outcome
        except ZoranError as error:
            raise plain(error) from None
        except Exception as failure:
            # Its text may hold a prompt.
            kind = type(failure).__name__
            raise Unavailable(f"No gateway answers ({kind}); look at `zoran status`.") from None


@contextlib.asynccontextmanager
async def _cancelled_with(response: Any) -> AsyncIterator[None]:
    """What was asked stops when whoever waits for it goes away."""
    try:
        yield
    except BaseException:
        response.cancel()
        raise


def _gateway() -> Any:
    from ray import serve

    return serve.get_deployment_handle("gateway", app_name="gateway")
