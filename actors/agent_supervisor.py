"""The one process that starts the roles' processes and keeps them alive, as Erlang's supervisors do.

It is started by the first gateway that wants a role. It outlives that gateway, and ends with the server.
"""

import secrets
import time
from typing import Any

import ray

from actors.names import AGENT_SUPERVISOR, NAMESPACE
from zoran_ray.agents.restarts import Restarts
from zoran_ray.agents.supervisor import Supervised
from zoran_ray.errors import InvalidRequest
from zoran_ray.routing.mixer import AGENTS
from zoran_ray.settings import Settings

_CALLS = 4096
"""Each job waits in a call of its host; what a desk has no room for it refuses itself."""


class AgentSupervisor:
    """The hosts of all roles, one for one. `actors.agent_client` gives it a mailbox.

    Args:
        settings: Those of the server.
    """

    def __init__(self, settings: Settings) -> None:
        agents = settings.agents
        self._hosts = {
            role: Supervised(
                role,
                lambda number, role=role: _start(role, number, settings),  # type: ignore[misc]
                Restarts(agents.restarts, agents.period_s, time.monotonic),
            )
            for role in AGENTS
        }

    async def host(self, role: str) -> str:
        """Name of a role's actor, started if it was not. Raises: AgentGivenUp, TimeoutError."""
        return await self._of(role).host()

    async def restart(self, role: str) -> None:
        """Ends a role's process and forgets its deaths; the next request starts it anew."""
        self._of(role).restart()

    async def state(self) -> dict[str, dict[str, Any]]:
        """Each role: whether its process runs, how often it was started and died, and for how long it is
        given up, in seconds."""
        return {
            role: {
                "alive": each.alive,
                "started": each.started,
                "deaths": each.deaths,
                "given_up_s": each.given_up_s,
            }
            for role, each in self._hosts.items()
        }

    def _of(self, role: str) -> Supervised:
        if role not in self._hosts:
            raise InvalidRequest(f"There is no agent '{role[:64]}'. There are {', '.join(self._hosts)}.")
        return self._hosts[role]


class _RayHost:
    """A host's actor. A name is used once: Ray frees that of a dead actor late."""

    def __init__(self, name: str, actor: Any) -> None:
        self.name = name
        self._actor = actor

    async def well(self) -> None:
        await self._actor.well.remote()

    async def ended(self) -> None:
        await self._actor.ended.remote()

    def kill(self) -> None:
        ray.kill(self._actor)


def _start(role: str, number: int, settings: Settings) -> _RayHost:
    from actors.agent_host import AgentHost  # and all that roles bring along

    name = f"agent:{role}:{number}-{secrets.token_hex(4)}"
    options: dict[str, Any] = {
        "name": name,
        "namespace": NAMESPACE,
        "num_cpus": 0,
        "max_restarts": 0,  # restarting it is what its supervisor is for
        "max_concurrency": _CALLS,
        "resources": {"node:__internal_head__": 0.001},
    }
    return _RayHost(name, ray.remote(AgentHost).options(**options).remote(role, settings))


def start_supervisor(settings: Settings) -> Any:
    """The supervisor of this cluster, started if there is none."""
    options: dict[str, Any] = {
        "name": AGENT_SUPERVISOR,
        "namespace": NAMESPACE,
        "lifetime": "detached",
        "get_if_exists": True,
        "num_cpus": 0,
        "max_restarts": -1,
        "max_concurrency": _CALLS,
        "resources": {"node:__internal_head__": 0.001},
    }
    return ray.remote(AgentSupervisor).options(**options).remote(settings)
