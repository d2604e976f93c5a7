"""How each role is made from the settings: with which tools, files and ways to fetch. Knows no mailbox."""

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
from zoran_ray.reasoning.acting import NoTools, Tools
from zoran_ray.reasoning.registry import Registry, shipped_strategies
from zoran_ray.reasoning.strategy import Strategy
from zoran_ray.settings import Settings
from zoran_ray.tools.addresses import Guard
from zoran_ray.tools.calculator import Calculator
from zoran_ray.tools.fetch import Fetcher
from zoran_ray.tools.toolbox import Toolbox

CODE = "code"
"""The tool that runs code, and the permission that it needs."""


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
    registry = Registry(shipped_strategies(), Toolbox((Calculator(),), (Calculator.name,)))

    async def make(job: Job) -> Strategy:
        parameters = dict(job.parameters)
        name = str(parameters.pop("strategy", settings.agents.strategy))
        return Reasoner(registry.make(name, parameters))

    return make


def _coder(settings: Settings) -> Make:
    found: list[Tools] = []

    async def make(job: Job) -> Strategy:
        if not found:
            found.append(await _code_tools(settings))
        return Coder(found[0])

    return make


async def _code_tools(settings: Settings) -> Tools:
    """The tool that runs code, where it is allowed and there; nothing else of what is allowed."""
    tools = settings.tools
    if CODE not in tools.allowed or CODE not in tools.permissions:
        return NoTools()
    from zoran_ray.tools.installed import allowed_tools, installed

    only = tools.model_copy(update={"allowed": (CODE,)})
    there = allowed_tools(only, installed(only))
    return Toolbox(there, [tool.name for tool in there if tool.name == CODE], (CODE,))


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
