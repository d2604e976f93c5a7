"""The strategies of a deployment: those that come with this package, and the tools they may use."""

from pathlib import Path

from actors.told import Telling, tell
from serve_apps.gateway.strategies import Strategies
from serve_apps.gateway.trace_folder import TraceFolder, traces_folder
from serve_apps.gateway.traces import Traces
from zoran_ray.reasoning.registry import Registry, shipped_strategies
from zoran_ray.reasoning.verifiers import verifier_of
from zoran_ray.tools.calculator import Calculator
from zoran_ray.tools.toolbox import Toolbox


def built_in() -> Strategies:
    """All that come along. Raises: ConfigError: One of their files is wrong."""
    # Nothing that reaches out: whoever may ask a model may not for that reason fetch from this machine.
    tools = Toolbox((Calculator(),), (Calculator.name,))
    registry = Registry(shipped_strategies(), tools)
    return Strategies(registry.described(), registry.make, verifier_of)


def kept_traces(state_dir: Path) -> Traces:
    """Where this node keeps what they thought; the journal hears of each."""
    return Traces(TraceFolder(traces_folder(state_dir)), Telling(tell))
