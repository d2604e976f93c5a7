"""Places that tasks may be deployed to, as the operator says in `autopilot.targets`. Knows no such place.

Frozen values like those of `zoran_ray.settings`; `zoran_ray.autopilot.deploy` makes deployers of them.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from zoran_ray.offers import Frozen, address

Words = Annotated[tuple[str, ...], Field(min_length=1, max_length=64)]
"""A program and its arguments; no shell reads them."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$")]
"""What a place calls a service, a project or an app."""
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]

PLACEHOLDER = re.compile(r"\{(\w+)\}")
"""What stands for a value in a word."""


def _whole(path: Path) -> Path:
    found = path.expanduser()
    if not found.is_absolute():
        # Without the value: what should name a file with a secret may be the secret.
        raise ValueError("this is not a whole path, such as /run/secrets/token")
    return found


def _keeps_a_secret(text: str) -> str:
    """An address that a token may be sent to."""
    host = urlsplit(found := address(text)).hostname or ""
    if found.startswith("http:") and host not in ("localhost", "::1") and not host.startswith("127."):
        raise ValueError("a token needs an https address: http shows it on the way")
    return found


WholePath = Annotated[Path, AfterValidator(_whole)]
ApiAddress = Annotated[str, AfterValidator(_keeps_a_secret)]


class CommandTarget(Frozen):
    """Commands of the operator's own. Placeholders: `{commit}`, `{marker}`, `{release}`, where they are."""

    kind: Literal["command"]
    folder: WholePath
    """Where the commands run."""
    deploy: Words
    """Deploys `{commit}`. The last line that it prints names the release; if there is none, the commit
    does. One that does not end with 0 says that it has changed nothing."""
    health: Words | None = None
    """0: `{release}` is well; 75: it is not known yet; anything else: it is not."""
    roll_back: Words | None = None
    """Brings back `{release}`, which ran before."""
    current: Words | None = None
    """Prints the release that runs, and behind a blank its commit if that is known; nothing for none."""
    find: Words | None = None
    """Prints likewise the release that `deploy` made with `{commit}` and `{marker}`. Without it, `deploy`
    must bear to be called twice."""
    variables: tuple[Variable, ...] = Field(default=(), max_length=64)
    """Names of our environment variables that the commands get besides PATH, HOME and LANG."""
    deadline_s: Seconds = 600.0
    """Longest command, in seconds; then it and what it started is killed."""

    @model_validator(mode="after")
    def _knows_its_placeholders(self) -> "CommandTarget":
        _holds("deploy", self.deploy, {"commit"}, {"marker"})
        _holds("health", self.health, set(), {"release", "commit"})
        _holds("roll_back", self.roll_back, set(), {"release", "commit", "marker"})
        _holds("current", self.current, set(), set())
        _holds("find", self.find, {"marker"}, {"commit"})
        return self


class ComposeTarget(Frozen):
    """A project of Docker Compose whose files read the commit from a variable, as `app:${APP_COMMIT}`."""

    kind: Literal["compose"]
    project: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    files: Annotated[tuple[WholePath, ...], Field(min_length=1, max_length=16)]
    """The project's files, in order."""
    env_files: Annotated[tuple[WholePath, ...], Field(max_length=16)] = ()
    """Files with other variables that they read."""
    folder: WholePath
    """Of this project alone: what is deployed is noted there, and the variable written for Compose."""
    variable: Variable = "APP_COMMIT"
    docker_host: str | None = Field(default=None, pattern=r"^(unix|tcp|ssh)://[!-~]{1,250}$")
    """Address of the Docker daemon; unset: the usual one."""
    deadline_s: Seconds = 600.0
    """Longest command, in seconds."""


class ApiTarget(Frozen):
    """A place that is asked over HTTP."""

    token_file: WholePath
    """File that holds a token: Render's API key, Vercel's access token, Fly.io's deploy token."""
    api_url: ApiAddress
    deadline_s: Seconds = 30.0
    """Longest request, in seconds."""


class RenderTarget(ApiTarget):
    """A service at Render that is built from a repository."""

    kind: Literal["render"]
    service: Name
    """Its id, as `srv-…`."""
    api_url: ApiAddress = "https://api.render.com/v1"


class VercelTarget(ApiTarget):
    """A project at Vercel that is connected to a repository; its production domains."""

    kind: Literal["vercel"]
    project: Name
    """Its id, as `prj_…`."""
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")
    """Its name."""
    team: Name | None = None
    """Id of the team that it belongs to, as `team_…`."""
    git: Literal["github", "gitlab", "bitbucket"] = "github"
    repository: str = Field(pattern=r"^[A-Za-z0-9{}-]{1,64}$")
    """Id of the repository there: a number; for Bitbucket its UUID."""
    branch: str = Field(default="main", pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$")
    """Branch that the commits lie on."""
    api_url: ApiAddress = "https://api.vercel.com"


class FlyTarget(ApiTarget):
    """Machines of an app at Fly.io; somebody else builds the images, one for each commit."""

    kind: Literal["fly"]
    app: Name
    image: str = Field(pattern=r"^[a-z0-9][A-Za-z0-9._:/@-]*\{commit\}[A-Za-z0-9._-]*$", max_length=300)
    """The image of a commit, as `registry.fly.io/my-app:{commit}`."""
    process_group: Name = "app"
    """Machines of this group are updated."""
    api_url: ApiAddress = "https://api.machines.dev"
    deadline_s: Seconds = 60.0
    """Longest request, in seconds: a machine is replaced within one."""


TargetSettings = Annotated[
    CommandTarget | ComposeTarget | RenderTarget | VercelTarget | FlyTarget, Field(discriminator="kind")
]
"""A place to deploy to; `kind` says of which sort."""


def _holds(name: str, words: Sequence[str] | None, needed: set[str], others: set[str]) -> None:
    if words is None:
        return
    found = set(PLACEHOLDER.findall(" ".join(words)))
    if unknown := found - needed - others:
        raise ValueError(f"{name}: there is no placeholder {{{min(unknown)}}} here")
    if missing := needed - found:
        raise ValueError(f"{name}: the placeholder {{{min(missing)}}} is missing")
    if PLACEHOLDER.search(words[0]):
        raise ValueError(f"{name}: the program itself cannot be a placeholder")
