"""Roles in the test's own process, behind the same link as those in processes of their own."""

import asyncio

from serve_apps.gateway.strategies import Strategies
from zoran_ray.agents.coder import Coder
from zoran_ray.agents.desk import Desk
from zoran_ray.agents.pictures import Pictures
from zoran_ray.agents.reasoner import Reasoner
from zoran_ray.agents.retriever import Retriever
from zoran_ray.agents.vision import Vision
from zoran_ray.errors import Overloaded
from zoran_ray.offers import AGENTS
from zoran_ray.rag import Passage
from zoran_ray.reasoning.registry import Registry
from zoran_ray.reasoning.verifiers import verifier_of
from zoran_ray.routing.roles import ROLE_ARMS
from zoran_ray.tools.picture import Picture

PNG = b"\x89PNG\r\n\x1a\n"
PASSAGE = Passage("docs/a.md", 3, 3, "The port is 8080.")
REGISTRY = Registry()
STRATEGIES = Strategies(
    REGISTRY.described(), REGISTRY.make, verifier_of, dict.fromkeys((AGENTS, *ROLE_ARMS), "A role.")
)


async def fetch(url):
    return Picture("image/png", PNG)


async def search(question, limit):
    return [PASSAGE]


class LocalLink:
    """See `agent_role.Link`."""

    def __init__(self, **bounds):
        self.desks = {role: Desk(self._maker(role), **bounds) for role in ("reasoner", "coder")}
        self.desks |= {role: Desk(self._maker(role), **bounds) for role in ("retriever", "vision")}
        self.jobs, self.stopped = [], []

    def _maker(self, role):
        async def make(job):
            parameters = dict(job.parameters)
            strategy = REGISTRY.make(parameters.pop("strategy", "cot"), parameters)
            roles = {
                "reasoner": Reasoner(strategy),
                "coder": Coder(),
                "retriever": Retriever(search),
                "vision": Vision(Pictures(fetch)),
            }
            return roles[role]

        return make

    async def begin(self, role, job):
        await self.desks[role].begin(job)
        self.jobs.append((role, job))
        return role

    async def hear(self, host, job_id):
        return await self.desks[host].hear(job_id)

    async def reply(self, host, job_id, reply):
        self.desks[host].reply(job_id, reply)

    def stop(self, host, job_id):
        self.stopped.append(job_id)
        self.desks[host].stop(job_id)

    async def idle(self):
        """Returns once no job is left."""
        while any(map(len, self.desks.values())):
            await asyncio.sleep(0)


class FullLink(LocalLink):
    """Every mailbox is full."""

    async def begin(self, role, job):
        raise Overloaded("This agent has as much to do as it takes.", retry_after_s=1.0)
