"""Values that go into commands and addresses of a place: never an option, a path upwards or a blank."""

import re

from zoran_ray.autopilot.deploy.deployer import Release
from zoran_ray.errors import DeployRefused, InvalidRequest, UpstreamError

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9_.:/+=@-]{0,299}")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


def checked_act(commit: str, marker: str) -> None:
    """Raises: InvalidRequest: The commit is no whole hash, or the marker none of ours."""
    if not _COMMIT.fullmatch(commit):
        raise InvalidRequest("A commit to deploy is given as its whole hash.", param="commit")
    checked_marker(marker)


def checked_marker(marker: str) -> None:
    """Raises: InvalidRequest: The marker is none of ours."""
    if not is_release(marker):
        raise InvalidRequest("A marker consists of letters, digits and _.:/+=@-.", param="marker")


def is_release(text: str) -> bool:
    """Whether a release may be called so."""
    return _NAME.fullmatch(text) is not None


def is_commit(text: str) -> bool:
    """Whether this is a whole hash."""
    return _COMMIT.fullmatch(text) is not None


def id_of(value: object, place: str) -> str:
    """What a place says that something is called, fit for an address. Raises: UpstreamError: It is not."""
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    raise UpstreamError(f"{place}'s answer has no id where there should be one.")


def known(release: Release | None) -> Release:
    """Raises: DeployRefused: Nobody can tell what ran before."""
    if release is None or not is_release(release.id):
        raise DeployRefused("Nobody can tell what ran before: a person must bring it back.")
    return release


def superseded() -> DeployRefused:
    """What there is to say of a release whose place another one has taken."""
    return DeployRefused("Another deployment has taken the place of this one. A person must look.")
