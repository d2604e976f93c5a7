"""How roles' processes are reached: through Ray, by name; gateways start their supervisor if need be."""

import asyncio
import contextlib
from typing import Any

from ray.exceptions import RayError

from actors.names import AGENT_SUPERVISOR, call, plain_errors, send
from zoran_ray.agents.desk import HEAR_S
from zoran_ray.agents.messages import Heard, Job, Reply
from zoran_ray.agents.supervisor import START_S
from zoran_ray.errors import InvalidRequest, Unavailable
from zoran_ray.routing.mixer import AGENTS
from zoran_ray.settings import Settings

_GRACE_S = 5.0
_LOST = "The agent's process ended while it answered; it is being restarted. Ask again."
_PAUSES_S = (0.05, 0.2, 1.0)
"""Between tries to begin: a process that is dead has spent nothing."""


class RayAgents:
    """See `serve_apps.gateway.agent_role.Link`.

    Args:
        settings: Those of the server, for the supervisor.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def begin(self, role: str, job: Job) -> str:
        """Sends a job. Returns: Name of the host that has it.

        Raises:
            AgentGivenUp, Overloaded, ZoranError: As `Desk.begin` and `Supervised.host`.
        """
        for pause_s in _PAUSES_S:
            try:
                return await self._begun(role, job)
            except Unavailable as error:
                if error.message != _LOST:
                    raise
                await asyncio.sleep(pause_s)  # it died, and its supervisor did not know yet
        return await self._begun(role, job)

    async def hear(self, host: str, job_id: str) -> Heard:
        """See `Desk.hear`. Raises: Unavailable: The host has died, or does not know the job."""
        heard: Heard = await _asked(host, "hear", job_id, timeout_s=HEAR_S + _GRACE_S)
        return heard

    async def reply(self, host: str, job_id: str, reply: Reply) -> None:
        """See `Desk.reply`. Raises: Unavailable: The host has died."""
        await _asked(host, "reply", job_id, reply, timeout_s=_GRACE_S)

    def stop(self, host: str, job_id: str) -> None:
        """See `Desk.stop`. Waits for nobody."""
        with contextlib.suppress(RayError):
            send(host, "stop", job_id)

    async def _begun(self, role: str, job: Job) -> str:
        with plain_errors("The agents are being started; try again shortly."):
            host = await self._host(role)
        await _asked(host, "begin", job, timeout_s=job.left_s)
        return host

    async def _host(self, role: str) -> str:
        try:
            return await _host_of(role)
        except ValueError:  # there is no supervisor yet
            from actors.agent_supervisor import start_supervisor

            await asyncio.to_thread(start_supervisor, self._settings)
            return await _host_of(role)


async def agent_states() -> dict[str, dict[str, Any]]:
    """Each role as `AgentSupervisor.state` tells it. Raises: Unavailable: It does not answer."""
    none = {"alive": False, "started": 0, "deaths": 0, "given_up_s": 0.0}
    states: dict[str, dict[str, Any]] = await _supervisor("state") or {role: dict(none) for role in AGENTS}
    return states


async def restart_agent(role: str) -> None:
    """Ends a role's process and forgets its deaths; the next request starts it anew.

    Raises:
        InvalidRequest: There is no such role.
        Unavailable: The supervisor does not answer.
    """
    if role not in AGENTS:
        raise InvalidRequest(
            f"There is no agent '{role[:64]}'. There are {', '.join(AGENTS)}.", param="role"
        )
    await _supervisor("restart", role)


async def _host_of(role: str) -> str:
    host: str = await call(AGENT_SUPERVISOR, "host", role, timeout_s=START_S + _GRACE_S)
    return host


async def _supervisor(method: str, *args: Any) -> Any:
    """What it says; None where it was never started, because nobody has wanted a role yet."""
    try:
        return await call(AGENT_SUPERVISOR, method, *args)
    except ValueError:
        return None
    except (TimeoutError, RayError):
        raise Unavailable("The agents' supervisor does not answer; try again.", retry_after_s=2.0) from None


async def _asked(host: str, method: str, *args: Any, timeout_s: float) -> Any:
    with plain_errors(Unavailable(_LOST, retry_after_s=1.0), broken="The agent failed"):
        return await call(host, method, *args, timeout_s=timeout_s)
