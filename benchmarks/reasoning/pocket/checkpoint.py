"""A training's state in a file, written whole or not at all. Knows nothing of what is in it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from zoran_ray.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a training is kept.

    Attributes:
        path: The file.
        made_with: What must be the same when the training goes on.
        every_s: Least time between two writes, in seconds.
    """

    path: Path
    made_with: Mapping[str, Any] = field(default_factory=dict)
    every_s: float = 180.0

    def save(self, state: Mapping[str, Any]) -> None:
        """Takes the place of the last one. Who is stopped while it is written still has that one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_suffix(".unfinished")
        with unfinished.open("wb") as file:
            torch.save({"made_with": dict(self.made_with), "state": dict(state)}, file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self.path)

    def load(self) -> dict[str, Any]:
        """The state that was kept.

        Raises:
            ConfigError: There is none, it cannot be read, or it is of another training.
        """
        if not self.path.exists():
            raise ConfigError(f"{self.path}: there is no checkpoint. Train without --resume first.")
        try:
            content = torch.load(self.path, map_location="cpu", weights_only=True)
            state, made_with = dict(content["state"]), dict(content["made_with"])
        except Exception as error:  # of a damaged file anything may come
            raise ConfigError(
                f"{self.path}: this is no checkpoint ({type(error).__name__}). Remove it and begin anew."
            ) from error
        differs = [name for name, value in self.made_with.items() if made_with.get(name) != value]
        if differs:
            raise ConfigError(
                f"{self.path}: this checkpoint was made with another {' and '.join(differs)}. "
                "Go on with the same, or begin in another folder."
            )
        return state
