"""Started by `test_agents` in a process of its own, because a process has one Ray.

Starts a role's process through its supervisor as a gateway does, with a model that this process plays,
kills it, fills its mailbox, lets clients go, and prints as JSON what was seen.
"""

import asyncio
import contextlib
import os
import signal
import time
from typing import Any

import ray
from ray.exceptions import RayError

from actors.agent_client import RayAgents, agent_states, restart_agent
from actors.names import AGENT_SUPERVISOR, NAMESPACE, call
from serve_apps.gateway.agent_role import HostedRole
from tests.integration.own_ray import last_line, own_ray
from zoran_ray.errors import ZoranError
from zoran_ray.reasoning.budget import Budget, Purse
from zoran_ray.reasoning.completion import Completion, Completions, Message, Sampling, Used
from zoran_ray.reasoning.strategy import Answer, Ask
from zoran_ray.reasoning.trace import Trace
from zoran_ray.settings import AgentSettings, Settings
from zoran_ray.tools.calculator import Calculator
from zoran_ray.tools.toolbox import Toolbox, ToolCall

DEADLINE_S = 150.0
RESTARTS = 2
ROOM = 3
MESSAGES = ({"role": "user", "content": "What is 2+2?"},)


class Model:
    """A model. While `open` is not set it does not answer; it says what it is to say next."""

    def __init__(self) -> None:
        self.next: list[str] = []
        self.open = asyncio.Event()
        self.open.set()
        self.asked = self.cut = 0

    async def __call__(self, messages: Any, sampling: Sampling, *, deadline: float) -> Completions:
        self.asked += 1
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cut += 1
            raise
        said = self.next.pop(0) if self.next else "Answer: 4"
        return Completions((Completion(said),) * sampling.n, Used(1, 5, 0, 3, 0))

    def most(self, messages: Any, sampling: Sampling) -> Used:
        return Used(calls=1)


class Drive:
    """A gateway's side."""

    def __init__(self, link: RayAgents) -> None:
        self.link = link
        self.model = Model()

    async def answer(self, messages: tuple[Message, ...] = MESSAGES, **parameters: Any) -> Answer:
        role = HostedRole("reasoner", parameters, self.link)
        ask = Ask(self.model, Purse(Budget(), time.monotonic), Trace(), time.monotonic() + 60)
        return await role.answer(messages, ask)

    async def with_a_tool(self) -> list[Any]:
        """What the coder makes of a tool of this process, and which calls were told here."""
        told: list[ToolCall] = []

        async def tools() -> Toolbox:
            return Toolbox((Calculator(),), ("calculator",), audit=told.append)

        role = HostedRole("coder", {}, self.link)
        self.model.next = ["Action: calculator\nAction Input: 6*7", "Final Answer: 42"]
        purse = Purse(Budget(), time.monotonic)
        ask = Ask(self.model, purse, Trace(), time.monotonic() + 60, tools=tools)
        answer = await role.answer(MESSAGES, ask)
        return [answer.text, answer.detail["ran"], [(each.name, each.ok) for each in told]]

    async def failure(self) -> str:
        try:
            await self.answer()
        except ZoranError as error:
            return f"{type(error).__name__} {error.retry_after_s is not None}"
        return "none"


async def told_of_host(what: str) -> int:
    """Its process or its number of jobs; of one that has just died, those of the next."""
    while True:
        try:
            host = await call(AGENT_SUPERVISOR, "host", "reasoner", timeout_s=60.0)
            told: dict[str, int] = await call(host, "well")
        except (RayError, ValueError):
            await asyncio.sleep(0.05)
        else:
            return told[what]


async def until(what: Any) -> None:
    while not await what():
        await asyncio.sleep(0.02)


async def overhead_ms(drive: Drive) -> float:
    """Of one call of the model, everything but the model."""
    calls, began = 50, time.perf_counter()
    for _ in range(calls):
        await drive.answer()
    return (time.perf_counter() - began) / calls * 1000


async def kills(drive: Drive) -> dict[str, Any]:
    """Kills it in the middle of an answer, then until it is given up."""
    first = await told_of_host("pid")
    drive.model.open.clear()
    asked, cut = drive.model.asked, drive.model.cut
    running = asyncio.create_task(drive.failure())
    await until(lambda: _is(drive.model.asked > asked))
    os.kill(first, signal.SIGKILL)
    in_flight = await running
    cut = drive.model.cut - cut
    drive.model.open.set()
    second = await told_of_host("pid")
    after = (await drive.answer()).text
    os.kill(second, signal.SIGKILL)
    await until(_died(2))
    os.kill(await told_of_host("pid"), signal.SIGKILL)
    await until(_died(3))
    given_up = await drive.failure()
    health = (await agent_states())["reasoner"]
    await restart_agent("reasoner")
    return {
        "deaths": health["deaths"],
        "stays_given_up": health["given_up_s"] > 0 and not health["alive"],
        "pardoned": (await agent_states())["reasoner"]["given_up_s"] == 0,
        "in_flight": in_flight,
        "cut": cut,
        "another": first != second,
        "after": after,
        "given_up": given_up,
        "after_restart": (await drive.answer()).text,
    }


def _died(times: int) -> Any:
    async def died() -> bool:
        state = await call(AGENT_SUPERVISOR, "state", timeout_s=30.0)
        return bool(state["reasoner"]["deaths"] >= times)

    return died


async def _is(what: bool) -> bool:
    return what


async def crowds(drive: Drive) -> dict[str, Any]:
    """More than the mailbox has room for; then all clients go."""
    drive.model.open.clear()
    asked, cut = drive.model.asked, drive.model.cut
    clients = [asyncio.create_task(drive.answer()) for _ in range(ROOM)]

    async def full() -> bool:
        return await told_of_host("jobs") == ROOM

    await until(full)
    refused = await drive.failure()
    began = time.perf_counter()
    for client in clients:
        client.cancel()
    await asyncio.gather(*clients, return_exceptions=True)

    async def empty() -> bool:
        return await told_of_host("jobs") == 0

    await until(empty)
    took_s = time.perf_counter() - began
    spent = drive.model.asked - asked
    await asyncio.sleep(0.2)
    more = drive.model.asked - asked - spent
    drive.model.open.set()
    return {
        "refused": refused,
        "ended_s": took_s,
        "asked_after": more,
        "left_open": spent - (drive.model.cut - cut),
    }


async def drive(settings: Settings) -> dict[str, Any]:
    made = Drive(RayAgents(settings))
    idle = _names()
    unwanted = await agent_states()
    began = time.perf_counter()
    told: dict[str, Any] = {"first": (await made.answer()).text, "first_s": time.perf_counter() - began}
    strategy = {"strategy": "self-consistency", "samples": 3}
    several = (await made.answer(strategy="self-consistency", samples=3)).detail["strategy"]
    told |= {"unwanted": [each["started"] for each in unwanted.values()]}
    told |= {"before": idle, "strategy": several == strategy["strategy"]}
    told["tool"] = await made.with_a_tool()
    told["overhead_ms"] = await overhead_ms(made)
    told |= await crowds(made)
    told |= await kills(made)
    return told


def _names() -> list[str]:
    return [each["name"] for each in ray.util.list_named_actors(all_namespaces=True)]


def main() -> None:
    with own_ray() as state_dir:
        agents = AgentSettings(running=2, waiting=ROOM - 2, restarts=RESTARTS)
        try:
            settings = Settings(state_dir=state_dir, agents=agents)
            seen = asyncio.run(asyncio.wait_for(drive(settings), DEADLINE_S))
        finally:
            with contextlib.suppress(ValueError):
                ray.kill(ray.get_actor(AGENT_SUPERVISOR, namespace=NAMESPACE))
    last_line(seen)


if __name__ == "__main__":
    main()
