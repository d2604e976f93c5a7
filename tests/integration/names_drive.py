"""Started by `test_names` in a process of its own, because a process has one Ray.

An actor that is called by name, killed and started again by Ray, and replaced by another of the same name.
Prints as JSON who answered.
"""

import asyncio
from typing import Any

import ray
from ray.core.generated.gcs_pb2 import ActorTableData
from ray.exceptions import RayError

from actors.names import NAMESPACE, call, send
from tests.integration.own_ray import last_line, own_ray

NAME = "somebody"
DEADLINE_S = 30.0


class Somebody:
    def __init__(self, who: str) -> None:
        self._who = who
        self._told: list[str] = []

    async def who(self) -> str:
        return self._who

    async def tell(self, word: str) -> None:
        self._told.append(word)

    async def told(self) -> list[str]:
        return self._told

    async def sleep(self) -> None:
        await asyncio.sleep(DEADLINE_S)


def start(who: str, restarts: int = 0) -> Any:
    options = {"name": NAME, "namespace": NAMESPACE, "num_cpus": 0, "max_restarts": restarts}
    return ray.remote(Somebody).options(**options).remote(who)


async def answered() -> str:
    """Who answers, once somebody does."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                return str(await call(NAME, "who"))
            except (RayError, ValueError):
                await asyncio.sleep(0.05)


async def told() -> list[str]:
    """What it has been told, once it has; nobody promises in which order its calls begin."""
    async with asyncio.timeout(DEADLINE_S):
        while not (words := await call(NAME, "told")):
            await asyncio.sleep(0.05)
    return list(words)


async def gone(actor: Any) -> None:
    """Until Ray has told this process that it is dead, as it does in a moment."""
    async with asyncio.timeout(DEADLINE_S):
        while actor._get_local_state() != ActorTableData.DEAD:
            await asyncio.sleep(0.05)


async def failure(**how: float) -> str:
    try:
        await call(NAME, "sleep", **how)
    except (RayError, ValueError, TimeoutError) as error:
        return type(error).__name__
    return ""


async def drive() -> dict[str, Any]:
    seen: dict[str, Any] = {"nobody": await failure()}
    first = start("first", restarts=1)
    seen["found"] = await answered()
    send(NAME, "tell", "a word")
    seen["told"] = await told()
    seen["late"] = await failure(timeout_s=0.1)
    ray.kill(first, no_restart=False)
    seen["restarted"] = await answered()
    ray.kill(first)
    await gone(first)
    seen["dead"] = await failure()
    second = start("second")
    # Not one call is lost to the handle of the dead one.
    ray.get(second.who.remote(), timeout=DEADLINE_S)
    seen["replaced"] = await call(NAME, "who")
    return seen


if __name__ == "__main__":
    with own_ray():
        last_line(asyncio.run(drive()))
