"""The labels by which a deployment knows its own containers."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from zoran_ray.errors import ConfigError
from zoran_ray.folders import create_file

DEPLOYMENT = "zoran.sandbox.deployment"
JOB = "zoran.sandbox.job"
MADE_AT = "zoran.sandbox.made_at_s"
DEADLINE = "zoran.sandbox.deadline_s"

_FILE = "sandbox-deployment"


@dataclass(frozen=True, slots=True)
class Labels:
    """Whose container it is, and until when.

    Attributes:
        deployment: Name of the deployment, from `deployment_of`.
        job: Name of the job.
        made_at_s: When it was made, in seconds since 1970.
        deadline_s: When it must be gone, likewise.
    """

    deployment: str
    job: str
    made_at_s: float
    deadline_s: float

    def as_docker(self) -> dict[str, str]:
        """As Docker keeps them."""
        times = {MADE_AT: f"{self.made_at_s:.3f}", DEADLINE: f"{self.deadline_s:.3f}"}
        return {DEPLOYMENT: self.deployment, JOB: self.job} | times

    @classmethod
    def read(cls, labels: Mapping[str, str]) -> "Labels | None":
        """The same from Docker; None for a container that no sandbox made."""
        try:
            return cls(labels[DEPLOYMENT], labels[JOB], float(labels[MADE_AT]), float(labels[DEADLINE]))
        except (KeyError, ValueError):
            return None


def deployment_of(state_dir: Path) -> str:
    """The name of the deployment that this state directory is of; made at the first call.

    Raises:
        ConfigError: The directory cannot be written, or the file in it is spoiled.
    """
    path = state_dir / _FILE
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            create_file(path, secrets.token_hex(16).encode())
        name = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be used: {error}. Check the state directory.") from error
    if len(name) != 32 or not all(char in "0123456789abcdef" for char in name):
        raise ConfigError(f"{path} is spoiled. Remove it when no sandbox of this deployment runs any more.")
    return name
