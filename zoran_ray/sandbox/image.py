"""The image that jobs run in: made from this machine, loaded into the daemon, known by its digest."""

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from zoran_ray.errors import ConfigError, SandboxUnavailable
from zoran_ray.folders import replace_file
from zoran_ray.sandbox.daemon import connected
from zoran_ray.sandbox.image_archive import TAG, write_archive
from zoran_ray.sandbox.image_files import distributions, gather

PACKAGES = ("pytest",)
"""What the default image has besides Python's own library."""

_RECORD = "sandbox-image.json"


@dataclass(frozen=True, slots=True)
class Image:
    """An image that was built.

    Attributes:
        digest: `sha256:…`, by which the daemon knows it.
        python: Version of its interpreter.
        packages: Version by name of every package in it.
        size_bytes: Of its archive.
    """

    digest: str
    python: str
    packages: dict[str, str]
    size_bytes: int


def build(
    state_dir: Path, host: str | None, packages: Sequence[str] = PACKAGES, keep: Path | None = None
) -> Image:
    """Make the image, load it and record its digest. Needs neither a registry nor a network.

    Args:
        state_dir: Where the record goes.
        host: As in `Backend`.
        packages: Installed distributions to put into it, with what they require.
        keep: Where to leave the archive, for the daemons of other nodes; None: nowhere.

    Raises:
        ConfigError: A package or a tool is missing here, or there is no room on the disk.
        SandboxUnavailable: No daemon answers, or it does not take the image.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            archive = keep or Path(folder, "image.tar")
            write_archive(gather(packages), archive)
            names = distributions(packages)
            image = Image(
                load(host, archive),
                sys.version.split()[0],
                {name: version(name) for name in names},
                archive.stat().st_size,
            )
            state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            replace_file(state_dir / _RECORD, json.dumps(asdict(image)).encode())
    except OSError as error:
        raise ConfigError(f"The sandbox's image cannot be written: {error}.") from error
    return image


def load(host: str | None, archive: Path) -> str:
    """Give an archive to the daemon. Returns: The image's digest.

    Raises:
        SandboxUnavailable: It was not taken.
    """
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        with connected(host) as client, archive.open("rb") as file:
            for _ in client.api.load_image(file):
                pass
            return str(client.images.get(TAG).id)
    except (DockerException, RequestException) as error:
        raise SandboxUnavailable(f"The Docker daemon does not take the image: {error}") from None


def recorded(state_dir: Path) -> Image | None:
    """The image that was built last for this state directory, if one was.

    Raises:
        ConfigError: The record is spoiled.
    """
    path = state_dir / _RECORD
    try:
        return Image(**json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{path} is spoiled. Make it anew with `zoran sandbox build`.") from error
