"""Places to deploy to: a commit goes there, its health is watched, what ran before comes back.

deployer = deployers_of(settings.autopilot.targets)["production"]
before = deployer.current()
release = deployer.find(commit, marker) or deployer.deploy(commit, marker)
if deployer.health(release) is Health.UNHEALTHY: deployer.roll_back(before, another_marker)

Knows no policy and no task: whether it may be done was decided before.
"""

from zoran_ray.autopilot.deploy.configured import deployers_of
from zoran_ray.autopilot.deploy.deployer import Deployer, Health, Release

__all__ = ["Deployer", "Health", "Release", "deployers_of"]
