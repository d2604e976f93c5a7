"""Services at Render.

Render keeps no marker. The service's newest deploy therefore counts as ours if it is of the commit: where
the service deploys by itself what is merged, there is no second one.

Source: https://api-docs.render.com/reference/create-deploy (`commitId`; 201, or 202 where it is queued),
/reference/list-deploys (`[{deploy, cursor}]`), /reference/retrieve-deploy, /reference/rollback-deploy
(`deployId`; makes a deploy of its own), /reference/rate-limiting (`Ratelimit-Reset`).
"""

from typing import Any

from zoran_ray.autopilot.deploy.api import Api, rows_at, text_at
from zoran_ray.autopilot.deploy.checked import (
    checked_act,
    checked_marker,
    id_of,
    is_commit,
    known,
    superseded,
)
from zoran_ray.autopilot.deploy.deployer import Health, Release
from zoran_ray.errors import UpstreamError

MOST_LISTED = 50
_UNDER_WAY = frozenset(
    {"created", "queued", "build_in_progress", "update_in_progress", "pre_deploy_in_progress"}
)
_FAILED = frozenset({"build_failed", "update_failed", "pre_deploy_failed", "canceled"})


class RenderDeployer:
    """One service.

    Args:
        service: Its id.
    """

    reversible = True

    def __init__(self, api: Api, service: str) -> None:
        self._api = api
        self._service = service

    def current(self) -> Release | None:
        return next((self._release(row) for row in self._deploys() if row.get("status") == "live"), None)

    def find(self, commit: str, marker: str) -> Release | None:
        checked_act(commit, marker)
        return self._newest(commit)

    def deploy(self, commit: str, marker: str) -> Release:
        checked_act(commit, marker)
        made = self._api.post("services", self._service, "deploys", said={"commitId": commit})
        if text_at(made, "id"):
            return self._release(made)
        found = self._newest(commit)  # one that is queued is answered without its id
        if found is None:
            raise UpstreamError("Render has queued the deploy, and lists it later.", retry_after_s=5.0)
        return found

    def health(self, release: Release) -> Health:
        deploy = id_of(release.id, "Render")
        status = text_at(self._api.get("services", self._service, "deploys", deploy), "status")
        if status == "deactivated":
            raise superseded()
        if status in _FAILED:
            return Health.UNHEALTHY
        if status in _UNDER_WAY:
            return Health.PENDING
        if status == "live":
            return Health.HEALTHY
        raise UpstreamError("Render tells a status that is not known here.")

    def roll_back(self, to: Release | None, marker: str) -> Release:
        checked_marker(marker)
        before = id_of(known(to).id, "Render")
        made = self._api.post("services", self._service, "rollback", said={"deployId": before})
        return self._release(made)

    def _deploys(self) -> list[dict[str, Any]]:
        """The last deploys, the newest first."""
        listed = self._api.get("services", self._service, "deploys", limit=str(MOST_LISTED))
        found = [row["deploy"] for row in rows_at(listed) if isinstance(row.get("deploy"), dict)]
        return sorted(found, key=lambda row: text_at(row, "createdAt"), reverse=True)

    def _newest(self, commit: str) -> Release | None:
        """The service's newest deploy, if it is of this commit."""
        newest = next(iter(self._deploys()), None)
        return self._release(newest) if newest and text_at(newest, "commit", "id") == commit else None

    def _release(self, row: Any) -> Release:
        commit = text_at(row, "commit", "id")
        return Release(id_of(text_at(row, "id"), "Render"), commit if is_commit(commit) else "")
