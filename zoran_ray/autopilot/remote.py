"""Where repositories may be: folders of this machine, and hosts. Knows no task and no git.

Whoever may ask for tasks may have read what a repository holds. So with keys only what the operator named
is reached: a folder of this machine, or a host that only this machine can see, is not everybody's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from zoran_ray.autopilot.forge import API_URLS
from zoran_ray.autopilot.git import checked_remote
from zoran_ray.errors import InvalidRequest, PermissionDenied

_FILE = "file://"


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where repositories may be.

    Attributes:
        paths: Folders in which they may lie.
        hosts: Hosts that the operator named, with their ports, in small letters.
        open: Whether the server has no keys: who asks is at this machine, and may read what it holds.
    """

    paths: Sequence[Path] = ()
    hosts: frozenset[str] = frozenset()
    open: bool = False

    def path(self, text: str, param: str = "repo_path") -> str:
        """The address of a repository in a folder of this machine.

        Args:
            text: The whole path, from somebody.
            param: What messages call it.

        Raises:
            InvalidRequest: There is no repository.
            PermissionDenied: It may not lie there.
        """
        if not self.open and not self.paths:
            raise PermissionDenied(
                "Folders of the server may not be named. Give repo_url, or have the operator name folders"
                " in autopilot.paths.",
                param=param,
            )
        folder = _resolved(text, param)
        # Before anything else is said of it: what lies elsewhere is not told.
        if self.paths and not _within(folder, self.paths):
            raise PermissionDenied(
                "This folder is none of those in which repositories may lie (autopilot.paths).", param=param
            )
        inner = folder / ".git"
        git = inner if inner.exists() else folder
        if not (git / "HEAD").is_file() and not git.is_file():
            raise InvalidRequest(f"'{param}' is wrong: there is no git repository.", param=param)
        if self.paths and (git.is_file() or not _within(git.resolve(), self.paths)):
            raise PermissionDenied(
                "What this repository holds lies elsewhere; name the repository itself.", param=param
            )
        return _checked(f"{_FILE}{folder}", param)

    def url(self, text: str, param: str = "repo_url") -> str:
        """An address, checked.

        Raises:
            InvalidRequest: It is none.
            PermissionDenied: It may not be asked.
        """
        if text.startswith(f"{_FILE}/"):
            return self.path(text.removeprefix(_FILE), param)
        host = urlsplit(_checked(text, param)).netloc.lower()
        if self.open or host in self.hosts or host in API_URLS:
            return text
        raise PermissionDenied(
            f"Repositories of {host} may not be named until the operator names it in autopilot.forges.",
            param=param,
        )

    def again(self, repository: Mapping[str, str | None]) -> None:
        """Looks at one that was named before. Raises: As `url`."""
        self.url(str(repository["remote"]), "thread_id")


def _resolved(text: str, param: str) -> Path:
    try:
        path = Path(text)
        if path.is_absolute() and ".." not in path.parts:
            return path.resolve()
    except (OSError, ValueError, RuntimeError):  # a NUL; a loop of links
        pass
    raise InvalidRequest(
        f"'{param}' is wrong: give the whole path of a folder of the server's machine.", param=param
    )


def _within(path: Path, folders: Sequence[Path]) -> bool:
    return any(path.is_relative_to(folder.resolve()) for folder in folders)


def _checked(remote: str, param: str) -> str:
    try:
        return checked_remote(remote)
    except InvalidRequest as error:
        raise InvalidRequest(error.message, param=param) from None
