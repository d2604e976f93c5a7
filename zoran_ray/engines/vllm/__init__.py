"""vLLM in this process: arguments, core pinning, its own HTTP application behind a guard."""

from zoran_ray.engines.vllm.build import EngineBuild, installed_build, require_build
from zoran_ray.engines.vllm.server import EngineServer

__all__ = ["EngineBuild", "EngineServer", "installed_build", "require_build"]
