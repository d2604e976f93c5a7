"""The strategies of a deployment: those of this package, tools for them, and what they leave behind."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from actors.told import ForgottenEverywhere, Telling, tell
from serve_apps.gateway.strategies import Strategies
from serve_apps.gateway.trace_folder import TraceFolder, traces_folder
from serve_apps.gateway.traces import Traces
from zoran_ray.offers import AGENTS
from zoran_ray.reasoning.registry import Registry, shipped_playbooks, shipped_strategies
from zoran_ray.reasoning.verifiers import load_verifiers, verifier_of
from zoran_ray.routing.roles import ROLE_ARMS
from zoran_ray.settings import Settings
from zoran_ray.tools.code_runner import CodeRunner
from zoran_ray.tools.installed import SEARCH_FILES
from zoran_ray.tools.tool import Tool

_AGENTS = {
    AGENTS: "The role that suits a request best.",
    **dict(
        zip(
            ROLE_ARMS,
            (
                "Thinks about the question with a strategy.",
                "Writes code, and runs it where there is a sandbox.",
                "Answers from an indexed folder, and names the line.",
                "Looks at pictures.",
            ),
            strict=True,
        )
    ),
}


def built_in(runner: CodeRunner | None = None, verifiers: Mapping[str, str] | None = None) -> Strategies:
    """All that come along.

    Args:
        runner: Where the verifier `unit-tests` runs the code of answers; None: nowhere.
        verifiers: The operator's functions, as `reasoning.verifiers` has them; None: none.

    Raises:
        ConfigError: One of their files is wrong, or a function cannot be loaded.
    """
    registry = Registry(shipped_strategies(), playbooks=shipped_playbooks())
    verifier = partial(verifier_of, runner=runner, own=load_verifiers(verifiers or {}))
    return Strategies(registry.described(), registry.make, verifier, _AGENTS)


def file_tools(settings: Settings) -> tuple[Tool, ...]:
    """The tool that searches the operator's folder; none where no folder is set, or it is not allowed."""
    folder = settings.agents.folder
    if folder is None or SEARCH_FILES not in settings.tools.allowed:
        return ()
    from actors.agent_folder import folder_search  # and the index with it
    from zoran_ray.rag import SearchFiles

    return (SearchFiles(folder_search(settings, folder)),)


def kept_traces(state_dir: Path) -> Traces:
    """Where this node keeps what they thought; the journal hears of each."""
    return Traces(TraceFolder(traces_folder(state_dir)), Telling(tell), ForgottenEverywhere())
