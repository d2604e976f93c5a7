"""Projects at Vercel: their production deployments.

Source: https://vercel.com/docs/rest-api/deployments/create-a-new-deployment (`gitSource`, `meta`,
`forceNew`), /deployments/list-deployments (`sha`, `projectId`, `target`), /deployments/get-a-deployment-by-
id-or-url (`readyState`, `readySubstate`, `aliasAssigned`, `aliasError`), /projects/find-a-project-by-id-or-
name (`targets`, `lastAliasRequest`), /projects/points-all-production-domains-for-a-project-to-the-given-
deploy (rollback), and https://vercel.com/docs/instant-rollback: afterwards new deployments get the domains
only when a person promotes one.
"""

from typing import Any

from zoran_ray.autopilot.deploy.api import Api, at, rows_at, text_at
from zoran_ray.autopilot.deploy.checked import (
    checked_act,
    checked_marker,
    id_of,
    is_commit,
    known,
    superseded,
)
from zoran_ray.autopilot.deploy.deployer import Health, Release
from zoran_ray.deploy_targets import VercelTarget
from zoran_ray.errors import DeployRefused, UpstreamError

MARKER = "zoranMarker"
"""Where a deployment's metadata carry the marker."""
_UNDER_WAY = frozenset({"QUEUED", "INITIALIZING", "BUILDING"})
_FAILED = frozenset({"ERROR", "CANCELED", "DELETED", "BLOCKED"})
_ID_OF = {"github": "repoId", "gitlab": "projectId", "bitbucket": "repoUuid"}
_COMMITS = ("githubCommitSha", "gitlabCommitSha", "bitbucketCommitSha")


class VercelDeployer:
    """One project."""

    reversible = True

    def __init__(self, api: Api, settings: VercelTarget) -> None:
        self._api = api
        self._its = settings
        self._team = {"teamId": settings.team} if settings.team else {}

    def current(self) -> Release | None:
        project = self._project()
        live = _live(project)
        return Release(live, _commit(at(project, "targets", "production"), live)) if live else None

    def find(self, commit: str, marker: str) -> Release | None:
        checked_act(commit, marker)
        listed = self._api.get(
            "v6", "deployments", projectId=self._its.project, target="production", sha=commit, limit="100",
            **self._team,
        )  # fmt: skip
        found = rows_at(listed, "deployments")
        ours = (row for row in found if text_at(row, "meta", MARKER) == marker)
        return next((self._release(row, commit) for row in ours), None)

    def deploy(self, commit: str, marker: str) -> Release:
        checked_act(commit, marker)
        source = {
            "type": self._its.git,
            _ID_OF[self._its.git]: self._its.repository,
            "ref": self._its.branch,
            "sha": commit,
        }
        said = {
            "name": self._its.name,
            "project": self._its.project,
            "target": "production",
            "gitSource": source,
            "meta": {MARKER: marker},
        }
        made = self._api.post("v13", "deployments", said=said, forceNew="1", **self._team)
        return self._release(made, commit)

    def health(self, release: Release) -> Health:
        deployment = self._api.get("v13", "deployments", id_of(release.id, "Vercel"), **self._team)
        state = text_at(deployment, "readyState")
        if state in _FAILED or (state == "READY" and at(deployment, "aliasError")):
            return Health.UNHEALTHY
        if state in _UNDER_WAY:
            return Health.PENDING
        if state != "READY":
            raise UpstreamError("Vercel tells a state that is not known here.")
        if text_at(deployment, "readySubstate") == "STAGED":
            raise DeployRefused("Vercel has staged the deployment: a person must promote it to production.")
        return self._serving(release, bool(at(deployment, "aliasAssigned")))

    def roll_back(self, to: Release | None, marker: str) -> Release:
        checked_marker(marker)
        before = known(to)
        if not self._asked_for(before):  # a rollback carries no marker, and one is enough
            name = id_of(before.id, "Vercel")
            self._api.post("v1", "projects", self._its.project, "rollback", name, said={}, **self._team)
        return before

    def _asked_for(self, release: Release) -> bool:
        """Whether the project is rolled back to it already, or about to be."""
        asked = at(self._project(), "lastAliasRequest")
        return (
            text_at(asked, "type") == "rollback"
            and text_at(asked, "toDeploymentId") == release.id
            and text_at(asked, "jobStatus") in ("pending", "in-progress", "succeeded")
        )

    def _serving(self, release: Release, assigned: bool) -> Health:
        """Whether the production domains lead to a deployment that is ready."""
        project = self._project()
        asked = at(project, "lastAliasRequest")
        if text_at(asked, "toDeploymentId") == release.id:
            match text_at(asked, "jobStatus"):
                case "pending" | "in-progress":
                    return Health.PENDING
                case "failed" | "skipped":
                    return Health.UNHEALTHY
        if _live(project) == release.id:
            return Health.HEALTHY
        if not assigned:
            return Health.PENDING
        raise superseded()

    def _project(self) -> Any:
        return self._api.get("v9", "projects", self._its.project, **self._team)

    def _release(self, row: Any, commit: str) -> Release:
        host = text_at(row, "url")
        found = id_of(text_at(row, "id") or text_at(row, "uid"), "Vercel")
        return Release(found, commit, f"https://{host}" if host else "")


def _live(project: Any) -> str:
    """Id of the deployment that the production domains lead to; empty if there is none.

    A rollback or a promotion makes no deployment: it stands in the project's last request alone.
    """
    made, asked = at(project, "targets", "production"), at(project, "lastAliasRequest")
    later = _time(at(asked, "requestedAt")) >= _time(at(made, "createdAt"))
    if text_at(asked, "jobStatus") == "succeeded" and later:
        return id_of(text_at(asked, "toDeploymentId"), "Vercel")
    return id_of(text_at(made, "id"), "Vercel") if made else ""


def _commit(deployment: Any, live: str) -> str:
    """The commit of a deployment, if it is the one that is live; empty where it is not told."""
    if text_at(deployment, "id") != live:
        return ""
    found = (text_at(deployment, "meta", name) for name in _COMMITS)
    return next(filter(is_commit, found), "")


def _time(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
