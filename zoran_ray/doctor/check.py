"""What one check of the machine found, and what all checks are given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zoran_ray.doctor.torch_report import TorchReport
from zoran_ray.models_file import ModelSpec
from zoran_ray.offers import ArmSpec
from zoran_ray.settings import Settings

Status = Literal["ok", "warn", "fail", "skip"]


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check.

    Attributes:
        name: What was looked at.
        status: `fail` where something required is missing.
        found: What is there.
        todo: What to do about it; empty where nothing needs doing.
    """

    name: str
    status: Status
    found: str
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is examined.

    Attributes:
        settings: The configuration in force.
        models: The models to serve.
        env: The environment.
        home: The user's home folder.
        torch: What a fresh interpreter says of torch.
        arms: The models of others.
    """

    settings: Settings
    models: tuple[ModelSpec, ...]
    env: Mapping[str, str]
    home: Path
    torch: TorchReport
    arms: tuple[ArmSpec, ...] = ()


Examination = Callable[[Subject], Check]
