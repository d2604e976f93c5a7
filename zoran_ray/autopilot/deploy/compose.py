"""A project of Docker Compose as a place to deploy to.

The commit is a variable of the project's files, written into a file that a person may use as well:
`docker compose -p PROJECT -f FILE --env-file FOLDER/release.env up -d`. What was deployed is noted when it
has been: a deployment that was cut short is found as none and done again, which changes nothing twice.

`up` goes without `--wait`, for which a service that ends well, such as a migration, has failed; `health`
looks instead.

Source: https://docs.docker.com/reference/cli/docker/compose/up/ and /compose/ps/ (`--format json`: a line
for each container; a list before Compose 2.21), https://docs.docker.com/compose/how-tos/environment-variables/.
"""

import json
from pathlib import Path
from typing import Any

from zoran_ray.autopilot.deploy.checked import checked_act, checked_marker, is_commit, known, superseded
from zoran_ray.autopilot.deploy.deployer import Health, Release
from zoran_ray.autopilot.deploy.process import Ended, minimal_environ, run
from zoran_ray.deploy_targets import ComposeTarget
from zoran_ray.errors import DeployRefused, InvalidRequest, Unreachable, UpstreamError
from zoran_ray.policy import OpenFolder

VARIABLE_FILE = "release.env"
NOTE_FILE = "release.json"
_MOST_NOTE_BYTES = 4096
_STARTING = frozenset({"created", "restarting", "removing", "paused"})


class ComposeDeployer:
    """One project, by one daemon."""

    reversible = True

    def __init__(self, settings: ComposeTarget) -> None:
        self._its = settings

    def current(self) -> Release | None:
        if note := self._note():
            return Release(note["marker"], note["commit"])
        return self._by_hand()

    def find(self, commit: str, marker: str) -> Release | None:
        checked_act(commit, marker)
        note = self._note()
        return Release(marker, commit) if note and note["marker"] == marker else None

    def deploy(self, commit: str, marker: str) -> Release:
        checked_act(commit, marker)
        self._containers()  # whether there is a daemon: else nothing is done
        ended = self._up(commit)
        # One that did not start is a release that is not well: the way back is the same.
        self._keep(marker, commit, started=ended.status == 0)
        return Release(marker, commit)

    def health(self, release: Release) -> Health:
        note = self._note()
        if note is None or note["marker"] != release.id:
            raise superseded()
        return _health(self._containers()) if note["started"] else Health.UNHEALTHY

    def roll_back(self, to: Release | None, marker: str) -> Release:
        checked_marker(marker)
        before = known(to)
        if not is_commit(before.commit):
            raise DeployRefused("Nobody can tell which commit ran before: a person must bring it back.")
        if self._up(before.commit).status:
            raise UpstreamError("Docker Compose could not bring back what ran before.")
        self._keep(marker, before.commit, started=True)
        return Release(marker, before.commit)

    def _by_hand(self) -> Release | None:
        """What a person deployed whose commit stands in the file with the variable."""
        if not (self._its.folder / VARIABLE_FILE).exists():
            return None
        with OpenFolder(self._its.folder) as folder:
            text = folder.read(VARIABLE_FILE, _MOST_NOTE_BYTES).decode(errors="replace")
        commit = text.strip().removeprefix(f"{self._its.variable}=")
        return Release(commit, commit) if is_commit(commit) else None

    def _up(self, commit: str) -> Ended:
        with OpenFolder(self._its.folder) as folder:
            folder.write(VARIABLE_FILE, f"{self._its.variable}={commit}\n".encode())
        return self._compose("up", "--detach", "--quiet-pull")

    def _containers(self) -> list[dict[str, Any]]:
        ended = self._compose("ps", "--all", "--format", "json")
        if ended.status:
            raise Unreachable(
                "Docker Compose cannot tell what runs. Check its files and the Docker daemon."
            )
        return _rows(ended.stdout)

    def _compose(self, *words: str) -> Ended:
        files = [word for path in self._its.files for word in ("--file", str(path))]
        variables = [word for path in self._env_files() for word in ("--env-file", str(path))]
        argv = ["docker", "compose", "--project-name", self._its.project, *files, *variables, *words]
        environ = minimal_environ()
        if self._its.docker_host:
            environ["DOCKER_HOST"] = self._its.docker_host
        return run(argv, self._its.folder, environ, self._its.deadline_s)

    def _env_files(self) -> list[Path]:
        ours = self._its.folder / VARIABLE_FILE
        return [*self._its.env_files, *([ours] if ours.exists() else [])]

    def _keep(self, marker: str, commit: str, *, started: bool) -> None:
        note = {"marker": marker, "commit": commit, "started": started}
        with OpenFolder(self._its.folder) as folder:
            folder.write(NOTE_FILE, json.dumps(note).encode())

    def _note(self) -> dict[str, Any] | None:
        """What was deployed last; None where nothing was by us."""
        if not (self._its.folder / NOTE_FILE).exists():
            return None
        try:
            with OpenFolder(self._its.folder) as folder:
                note = json.loads(folder.read(NOTE_FILE, _MOST_NOTE_BYTES))
            fields = {name: note[name] for name in ("marker", "commit", "started")}
        except (InvalidRequest, ValueError, TypeError, KeyError):
            raise DeployRefused(f"{NOTE_FILE} in the project's folder is spoiled. Remove it.") from None
        return fields


def _rows(output: str) -> list[dict[str, Any]]:
    try:
        if output.lstrip().startswith("["):
            found = json.loads(output)
        else:
            found = [json.loads(line) for line in output.splitlines() if line.strip()]
    except (ValueError, RecursionError):
        raise UpstreamError("Docker Compose's list of containers cannot be read.") from None
    return [row for row in found if isinstance(row, dict)]


def _health(containers: list[dict[str, Any]]) -> Health:
    found = [_one(row.get("State"), row.get("Health"), row.get("ExitCode")) for row in containers]
    if not containers or Health.UNHEALTHY in found:
        return Health.UNHEALTHY
    runs = any(row.get("State") == "running" for row in containers)
    return Health.HEALTHY if runs and Health.PENDING not in found else Health.PENDING


def _one(state: object, health: object, exit_code: object) -> Health:
    """A container that ended well is healthy: a migration, say."""
    if state == "exited":
        return Health.HEALTHY if exit_code == 0 else Health.UNHEALTHY
    if state == "dead" or health == "unhealthy":
        return Health.UNHEALTHY
    if state in _STARTING or health == "starting":
        return Health.PENDING
    return Health.HEALTHY if state == "running" else Health.UNHEALTHY
