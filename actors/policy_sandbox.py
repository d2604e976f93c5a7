"""The sandbox of a deployment, with the limits of a policy. Knows both; decides nothing."""

import os
from pathlib import Path

from actors.deployment_sandbox import DeploymentSandbox
from zoran_ray.policy import Policy, SandboxRules
from zoran_ray.sandbox import Limits
from zoran_ray.settings import SandboxSettings
from zoran_ray.tools.code_runner import CodeRunner


class PolicySandbox:
    """Gives the sandbox that a policy asks for; the same for the same rules.

    Args:
        settings: Which daemon, and which image and runtime where the policy leaves them open.
        state_dir: Where the deployment's own image is noted.
    """

    def __init__(self, settings: SandboxSettings, state_dir: Path) -> None:
        self._settings = settings
        self._state_dir = state_dir
        self._made: tuple[SandboxRules, DeploymentSandbox] | None = None

    def __call__(self, policy: Policy) -> CodeRunner:
        """The sandbox for work under a policy. Of our variables it gets those that the policy names."""
        rules = policy.sandbox
        if self._made is None or self._made[0] != rules:
            self._made = (
                rules,
                DeploymentSandbox(
                    sandbox_settings(self._settings, rules), self._state_dir, limits_of(rules)
                ),
            )
        return self._made[1]


def limits_of(rules: SandboxRules) -> Limits:
    """What a job may use. A variable that is named and not set here is not set there."""
    found = {
        name: int(value) if isinstance(getattr(Limits(), name), int) else value
        for name, value in rules.limits().items()
    }
    named = {name: os.environ[name] for name in rules.env if name in os.environ}
    return Limits(**found, environment=named)  # type: ignore[arg-type]


def sandbox_settings(settings: SandboxSettings, rules: SandboxRules) -> SandboxSettings:
    """The settings with what the rules say besides; gVisor where either asks for it."""
    said = {"image": rules.image} if rules.image else {}
    return settings.model_copy(update=said | ({"runtime": "runsc"} if rules.runtime == "runsc" else {}))
