"""The places that the operator configured, as deployers."""

from collections.abc import Mapping
from pathlib import Path

from zoran_ray.api_key import ApiKey
from zoran_ray.autopilot.deploy.api import Api
from zoran_ray.autopilot.deploy.command import CommandDeployer
from zoran_ray.autopilot.deploy.compose import ComposeDeployer
from zoran_ray.autopilot.deploy.deployer import Deployer
from zoran_ray.autopilot.deploy.fly import FlyDeployer
from zoran_ray.autopilot.deploy.render import RenderDeployer
from zoran_ray.autopilot.deploy.vercel import VercelDeployer
from zoran_ray.deploy_targets import (
    ApiTarget,
    CommandTarget,
    ComposeTarget,
    FlyTarget,
    RenderTarget,
    TargetSettings,
    VercelTarget,
)
from zoran_ray.errors import ConfigError


def deployers_of(targets: Mapping[str, TargetSettings]) -> dict[str, Deployer]:
    """Deployers by the names of their targets.

    Raises:
        ConfigError: A token or a folder cannot be read.
    """
    return {name: _deployer(target) for name, target in targets.items()}


def _deployer(target: TargetSettings) -> Deployer:
    match target:
        case CommandTarget():
            _there(target.folder)
            return CommandDeployer(target)
        case ComposeTarget():
            _there(target.folder)
            return ComposeDeployer(target)
        case RenderTarget():
            return RenderDeployer(_api("Render", target), target.service)
        case VercelTarget():
            return VercelDeployer(_api("Vercel", target), target)
        case FlyTarget():
            return FlyDeployer(_api("Fly.io", target), target)


def _api(place: str, target: ApiTarget) -> Api:
    def token() -> ApiKey:
        return ApiKey.from_file(target.token_file)

    token()  # whoever starts a server hears now that it cannot be read
    return Api(place, target.api_url, token, target.deadline_s)


def _there(folder: Path) -> None:
    if not folder.is_dir():
        raise ConfigError(f"The folder {folder} of a target is not there. Make it, or name another one.")
