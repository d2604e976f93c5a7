"""Machines of an app at Fly.io, one updated after the other to the image of a commit.

An update names the version of the machine that it was made for, so that no two deployments mix unseen. A
deployment that was cut short is found as none, and taken up where it stopped. Where the app has no health
checks of its own, a machine that is started counts as well.

Source: https://fly.io/docs/machines/api/machines-resource/ (list; update with `config` and
`current_version`; `checks`; `instance_id`), and https://github.com/superfly/fly-go/blob/main/machine_types.go
(states, checks, `image_ref`, process groups in `config.metadata`).
"""

from typing import Any

from zoran_ray.autopilot.deploy.api import Api, at, rows_at, text_at
from zoran_ray.autopilot.deploy.checked import (
    checked_act,
    checked_marker,
    id_of,
    is_commit,
    is_release,
    known,
    superseded,
)
from zoran_ray.autopilot.deploy.deployer import Health, Release
from zoran_ray.deploy_targets import FlyTarget
from zoran_ray.errors import DeployRefused

MARKER = "zoran_marker"
COMMIT = "zoran_commit"
"""Where a machine's metadata carry the marker and the commit."""
_GONE = frozenset({"destroyed", "destroying", "replaced"})
_COMPATIBILITY = "bg_deployments_"
"""Checks with such a name are no checks of the app, but there for older clients."""


class FlyDeployer:
    """The machines of one process group."""

    reversible = True

    def __init__(self, api: Api, settings: FlyTarget) -> None:
        self._api = api
        self._its = settings

    def current(self) -> Release | None:
        machines = self._machines()
        images = {_exact_image(machine) for machine in machines}
        if len(images) != 1 or not is_release(image := images.pop()):
            return None
        commits = {_metadata(machine, COMMIT) for machine in machines}
        commit = commits.pop() if len(commits) == 1 else ""
        return Release(image, commit if is_commit(commit) else "")

    def find(self, commit: str, marker: str) -> Release | None:
        checked_act(commit, marker)
        machines = self._machines()
        if machines and all(_metadata(machine, MARKER) == marker for machine in machines):
            return Release(text_at(machines[0], "config", "image"), commit)
        return None

    def deploy(self, commit: str, marker: str) -> Release:
        checked_act(commit, marker)
        return self._update(Release(self._image(commit), commit), marker)

    def health(self, release: Release) -> Health:
        machines = self._machines()
        if not machines or any(text_at(machine, "config", "image") != release.id for machine in machines):
            raise superseded()
        if any(_crashed(machine) for machine in machines):
            return Health.UNHEALTHY
        # Those that are stopped are so by the app's own wish: they start when they are needed.
        awake = [
            machine for machine in machines if text_at(machine, "state") not in ("stopped", "suspended")
        ]
        return Health.HEALTHY if awake and all(_passes(machine) for machine in awake) else Health.PENDING

    def roll_back(self, to: Release | None, marker: str) -> Release:
        checked_marker(marker)
        return self._update(known(to), marker)

    def _update(self, release: Release, marker: str) -> Release:
        machines = self._machines()
        if not machines:
            raise DeployRefused(f"The app has no machines of the group '{self._its.process_group}'.")
        for machine in machines:
            if _metadata(machine, MARKER) != marker:
                self._update_one(machine, release, marker)
        return release

    def _update_one(self, machine: dict[str, Any], release: Release, marker: str) -> None:
        config = machine.get("config")
        if not isinstance(config, dict):
            raise DeployRefused("Fly.io cannot tell a machine's configuration now. Try again later.")
        metadata = {**(config.get("metadata") or {}), MARKER: marker, COMMIT: release.commit}
        said = {
            "config": {**config, "image": release.id, "metadata": metadata},
            "current_version": text_at(machine, "instance_id"),
        }
        name = id_of(machine.get("id"), "Fly.io")
        self._api.post("v1", "apps", self._its.app, "machines", name, said=said)

    def _machines(self) -> list[dict[str, Any]]:
        found = rows_at(self._api.get("v1", "apps", self._its.app, "machines"))
        return [machine for machine in found if self._is_ours(machine)]

    def _is_ours(self, machine: dict[str, Any]) -> bool:
        group = _metadata(machine, "fly_process_group") or "app"
        return group == self._its.process_group and text_at(machine, "state") not in _GONE

    def _image(self, commit: str) -> str:
        return self._its.image.replace("{commit}", commit)


def _metadata(machine: dict[str, Any], name: str) -> str:
    return text_at(machine, "config", "metadata", name)


def _exact_image(machine: dict[str, Any]) -> str:
    """The image that a machine runs: by digest where that is told, for a tag may have moved."""
    parts = [text_at(machine, "image_ref", name) for name in ("registry", "repository", "digest")]
    if all(parts):
        return f"{parts[0]}/{parts[1]}@{parts[2]}"
    return text_at(machine, "config", "image")


def _crashed(machine: dict[str, Any]) -> bool:
    """Whether a machine ended by itself, and badly."""
    if text_at(machine, "state") == "failed":
        return True
    events = at(machine, "events")
    last = next((row for row in events if text_at(row, "type") == "exit"), None) if events else None
    ended = at(last, "request", "exit_event")
    code = at(ended, "exit_code")
    asked = bool(at(ended, "requested_stop"))
    return text_at(machine, "state") == "stopped" and isinstance(code, int) and code != 0 and not asked


def _passes(machine: dict[str, Any]) -> bool:
    checks = [row for row in at(machine, "checks") or [] if isinstance(row, dict)]
    own = [row for row in checks if not text_at(row, "name").startswith(_COMPATIBILITY)]
    return text_at(machine, "state") == "started" and all(
        text_at(row, "status") == "passing" for row in own
    )
