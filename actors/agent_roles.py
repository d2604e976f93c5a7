"""How each role is made from the settings: with which files and ways to fetch. Knows no mailbox.

Tools are those of each request, and used where it came in: see `zoran_ray.agents.messages`.
"""

from collections.abc import Callable

from actors.agent_folder import folder_search
from zoran_ray.agents.coder import Coder
from zoran_ray.agents.desk import Make
from zoran_ray.agents.messages import Job
from zoran_ray.agents.pictures import Pictures
from zoran_ray.agents.reasoner import Reasoner
from zoran_ray.agents.retriever import Retriever
from zoran_ray.agents.vision import Vision
from zoran_ray.errors import ConfigError
from zoran_ray.reasoning.registry import Registry, shipped_playbooks, shipped_strategies
from zoran_ray.reasoning.strategy import Strategy
from zoran_ray.settings import Settings
from zoran_ray.tools.addresses import Guard
from zoran_ray.tools.fetch import Fetcher


def maker(role: str, settings: Settings) -> Make:
    """How a role is made for each job. Raises: ConfigError: It is none, or its settings are wrong."""
    makers: dict[str, Callable[[Settings], Make]] = {
        Reasoner.name: _reasoner,
        Coder.name: _coder,
        Retriever.name: _retriever,
        Vision.name: _vision,
    }
    if role not in makers:
        raise ConfigError(f"There is no agent '{role[:64]}'. There are {', '.join(makers)}.")
    return makers[role](settings)


def _reasoner(settings: Settings) -> Make:
    registry = Registry(shipped_strategies(), playbooks=shipped_playbooks())

    async def make(job: Job) -> Strategy:
        parameters = dict(job.parameters)
        name = str(parameters.pop("strategy", settings.agents.strategy))
        return Reasoner(registry.make(name, parameters))

    return make


def _coder(settings: Settings) -> Make:
    return lambda job: _done(Coder())


def _retriever(settings: Settings) -> Make:
    folder = settings.agents.folder
    if folder is None:
        raise ConfigError(
            "The retriever has no files: set `agents.folder`, and index it (zoran rag index)."
        )
    role = Retriever(folder_search(settings, folder))
    return lambda job: _done(role)


def _vision(settings: Settings) -> Make:
    guard = Guard(allow=settings.tools.fetch_addresses)
    fetch = Fetcher(guard).picture if "network" in settings.tools.permissions else None
    role = Vision(Pictures(fetch))
    return lambda job: _done(role)


async def _done(role: Strategy) -> Strategy:
    return role
