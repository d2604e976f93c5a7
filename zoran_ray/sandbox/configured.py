"""From the settings to a backend; the one place that decides which image jobs run in."""

from pathlib import Path

from zoran_ray.errors import SandboxUnavailable
from zoran_ray.sandbox.daemon import Backend
from zoran_ray.sandbox.image import recorded
from zoran_ray.sandbox.labels import deployment_of
from zoran_ray.settings import SandboxSettings


def backend_of(settings: SandboxSettings, state_dir: Path) -> Backend:
    """Where jobs of this deployment run. Asks no daemon.

    Raises:
        SandboxUnavailable: There is no image yet.
        ConfigError: The state directory cannot be used.
    """
    image = settings.image
    if image is None:
        built = recorded(state_dir)
        if built is None:
            raise SandboxUnavailable(
                "Code cannot be run: the sandbox has no image. Make it with `zoran sandbox build`, or name "
                "one by its digest with sandbox.image."
            )
        image = built.digest
    return Backend(deployment_of(state_dir), image, settings.docker_host, settings.runtime)
