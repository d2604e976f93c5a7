"""Whether this machine can serve: one small check a subject, each saying what to do. Changes nothing."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from zoran_ray.config import Loaded, home_dir, load
from zoran_ray.doctor import machine, network, software, state
from zoran_ray.doctor.check import Check, Examination, Status, Subject
from zoran_ray.doctor.torch_report import TorchReport, ask_torch
from zoran_ray.errors import ConfigError
from zoran_ray.models_file import ModelsFile
from zoran_ray.settings import Settings

__all__ = ["Check", "Status", "Subject", "TorchReport", "ask_torch", "examine"]

EXAMINATIONS: tuple[Examination, ...] = (
    software.python,
    software.ray,
    software.haproxy,
    software.vllm,
    software.torch,
    software.accelerator,
    machine.memory,
    machine.shared_memory,
    network.port,
    network.addresses,
    network.ray_authentication,
    state.state_dir,
    state.keys,
    state.models,
    state.arms,
    machine.docker,
)


def examine(
    flags: Mapping[str, Any],
    env: Mapping[str, str],
    cwd: Path,
    torch: Callable[[], TorchReport] = ask_torch,
) -> tuple[Check, ...]:
    """Run all checks.

    Args:
        flags: As `zoran_ray.config.load` takes them.
        env: The environment.
        cwd: Where `zoran.yaml` is looked for.
        torch: Tells of the installed torch.
    """
    try:
        loaded = load(flags, env, cwd)
        check = Check("configuration", "ok", "read without mistakes")
    except ConfigError as error:
        # The rest is judged by the defaults, and without any model.
        loaded = Loaded(Settings(), ModelsFile.model_construct(), {})
        check = Check("configuration", "fail", error.message)
    subject = Subject(loaded.settings, loaded.models, env, home_dir(env), torch(), loaded.arms)
    return check, *(examination(subject) for examination in EXAMINATIONS)
