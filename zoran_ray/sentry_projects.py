"""Whose incidents open tasks, as the operator says in `autopilot.sentry`. Knows no webhook."""

from typing import Annotated

from pydantic import Field, model_validator

from zoran_ray.deploy_targets import WholePath
from zoran_ray.offers import Frozen, address

Slug = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$")]


class SentryProject(Frozen):
    """The repository that a project's code is in, and who asks for the advice."""

    repo_url: str | None = None
    """Its address, as `https://github.com/team/project`."""
    repo_path: WholePath | None = None
    """Or its folder on this machine, in one of `autopilot.paths`."""
    key_id: str = Field(min_length=1, max_length=128)
    """Id of the key in whose name tasks are opened (`zoran keys list`): it pays for them and sees them.
    `anybody` on a server without keys."""

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "SentryProject":
        if (self.repo_url is None) == (self.repo_path is None):
            raise ValueError("give either a repo_url or a repo_path")
        if self.repo_url is not None:
            address(self.repo_url)
        return self


class SentrySettings(Frozen):
    """Webhooks of Sentry: each issue opens one task that advises, and changes nothing."""

    secret_file: WholePath | None = None
    """File that holds the integration's client secret, with which Sentry signs; unset: no incident opens a
    task."""
    projects: dict[Slug, SentryProject] = Field(default={}, max_length=1000)
    """By the project's slug; incidents of others are passed over."""

    @model_validator(mode="after")
    def _can_be_checked(self) -> "SentrySettings":
        if self.projects and self.secret_file is None:
            raise ValueError("secret_file is missing: nobody could tell who reports an incident")
        return self
