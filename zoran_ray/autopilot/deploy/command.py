"""Commands of the operator's own as a place to deploy to.

A value stands inside one word and stays there: it never adds a word, is no option, and no shell reads it.
"""

import re
from collections.abc import Mapping, Sequence

from zoran_ray.autopilot.deploy.checked import checked_act, checked_marker, is_commit, is_release, known
from zoran_ray.autopilot.deploy.deployer import Health, Release
from zoran_ray.autopilot.deploy.process import Ended, minimal_environ, run
from zoran_ray.deploy_targets import PLACEHOLDER, CommandTarget
from zoran_ray.errors import DeployRefused, UpstreamError

NOT_KNOWN_YET = 75
"""Exit status of a health check that must be repeated. Source: EX_TEMPFAIL in sysexits.h."""


class CommandDeployer:
    """A place that is reached by commands."""

    def __init__(self, settings: CommandTarget) -> None:
        self._its = settings

    @property
    def reversible(self) -> bool:
        return self._its.health is not None and self._its.roll_back is not None

    def current(self) -> Release | None:
        return self._told("current", self._its.current, {})

    def find(self, commit: str, marker: str) -> Release | None:
        checked_act(commit, marker)
        return self._told("find", self._its.find, {"commit": commit, "marker": marker})

    def deploy(self, commit: str, marker: str) -> Release:
        checked_act(commit, marker)
        ended = self._run(self._its.deploy, {"commit": commit, "marker": marker})
        if ended.status:
            raise DeployRefused(f"The command 'deploy' ended with status {ended.status}.")
        return _release(ended.stdout, commit) or Release(commit, commit)

    def health(self, release: Release) -> Health:
        if self._its.health is None:
            raise DeployRefused("There is no command 'health' here: a person must look.")
        ended = self._run(self._its.health, {"release": release.id, "commit": release.commit})
        if ended.status == NOT_KNOWN_YET:
            return Health.PENDING
        return Health.UNHEALTHY if ended.status else Health.HEALTHY

    def roll_back(self, to: Release | None, marker: str) -> Release:
        checked_marker(marker)
        if self._its.roll_back is None:
            raise DeployRefused("There is no command 'roll_back' here: a person must bring back what ran.")
        before = known(to)
        values = {"release": before.id, "commit": before.commit, "marker": marker}
        ended = self._run(self._its.roll_back, values)
        if ended.status:
            raise UpstreamError(f"The command 'roll_back' ended with status {ended.status}.")
        return _release(ended.stdout, before.commit) or before

    def _told(self, name: str, words: Sequence[str] | None, values: Mapping[str, str]) -> Release | None:
        if words is None:
            return None
        ended = self._run(words, values)
        if ended.status:
            raise UpstreamError(f"The command '{name}' ended with status {ended.status}.")
        return _release(ended.stdout, values.get("commit", ""))

    def _run(self, words: Sequence[str], values: Mapping[str, str]) -> Ended:
        argv = filled(words, values)
        return run(argv, self._its.folder, minimal_environ(self._its.variables), self._its.deadline_s)


def filled(words: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """A command's words with the values of their placeholders, as many as there were.

    Raises:
        DeployRefused: A value is not known, or may not stand in a command.
    """

    def value_of(found: re.Match[str]) -> str:
        value = values.get(found[1], "")
        if not is_release(value):
            raise DeployRefused(f"There is no {found[1]} that could stand in the command.")
        return value

    return [PLACEHOLDER.sub(value_of, word) for word in words]


def _release(output: str, commit: str) -> Release | None:
    """The release that the last line names, and the commit behind it. Raises: UpstreamError."""
    lines = [line for line in output.splitlines() if line.strip()]
    if not lines:
        return None
    name, _, told = lines[-1].strip().partition(" ")
    if not is_release(name) or not (told == "" or is_commit(told)):
        raise UpstreamError("The last line of the command's output names no release.")
    return Release(name, told or commit)
