"""Requests about one repository on GitHub, and their refusals as our errors. Knows no pull requests."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from github import GithubException
from github.Auth import Token

from zoran_ray.autopilot.forge.connection import BoundedRequester
from zoran_ray.autopilot.forge.refusals import refusal
from zoran_ray.errors import ConfigError, UpstreamError

PER_PAGE = 100
MOST_PAGES = 10
_NAME = re.compile(r"(?!\.{1,2}/)[\w.\-]{1,100}/(?!\.{1,2}$)[\w.\-]{1,100}", re.ASCII)
_TOKEN = re.compile(r"[!-~]{1,1000}")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_UNREADABLE = (ValueError, TypeError, AttributeError, OverflowError, RecursionError)


class Requests:
    """Requests with one token. Every path is ours, none is taken from an answer.

    Args:
        api_url: `https://api.github.com`, `https://github.example.com/api/v3`.
        repository: `owner/name`.
        token: Sent to this address only.
        deadline_s: Longest request, in seconds.
        between_writes_s: Rest between two requests that change something, in seconds.
        clock: Unix time in seconds.

    Raises:
        ConfigError: An argument is none; plain HTTP is for this machine only.
    """

    def __init__(
        self, api_url: str, repository: str, token: str,
        *, deadline_s: float = 20.0, between_writes_s: float = 1.0,
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        if not _NAME.fullmatch(repository):
            raise ConfigError("A repository of a forge is named owner/name.")
        if not _TOKEN.fullmatch(token):
            raise ConfigError("The forge's token is empty, or holds what no token can.")
        self.repository = repository
        self._clock = clock
        self._requester = BoundedRequester(checked_api(api_url), Token(token), deadline_s, between_writes_s)

    def ask(self, verb: str, path: str, said: Any = None, **parameters: Any) -> Any:
        """The JSON of an answer.

        Args:
            path: Below the repository; from the root where it begins with `/`.
            said: JSON of the request's body.
            parameters: Of the query.

        Raises:
            GithubException: A status that is none of success; `refusals` says what it means.
            Unreachable, DeadlineExceeded, UpstreamError: No answer, or none that can be read.
        """
        where = path if path.startswith("/") else f"/repos/{self.repository}/{path}"
        try:
            _, data = self._requester.requestJsonAndCheck(verb, where, parameters=parameters, input=said)
        except GithubException:
            raise
        except _UNREADABLE:
            raise UpstreamError("The forge's answer cannot be read.") from None
        return data

    def get(self, path: str, **parameters: Any) -> Any:
        """What there is. Raises: ZoranError."""
        return self.do("GET", path, **parameters)

    def do(self, verb: str, path: str, said: Any = None, **parameters: Any) -> Any:
        """As `ask`, where every refusal is an error. Raises: ZoranError."""
        try:
            return self.ask(verb, path, said, **parameters)
        except GithubException as error:
            raise refusal(error, self._clock()) from None

    def pages(self, path: str, **parameters: Any) -> Iterator[Any]:
        """Lists, page by page. Raises: UpstreamError: There are more than `MOST_PAGES`."""
        for page in range(1, MOST_PAGES + 1):
            data = self.get(path, per_page=PER_PAGE, page=page, **parameters)
            yield data
            if len(_rows(data)) < PER_PAGE:
                return
        raise UpstreamError(
            f"The forge lists more than {MOST_PAGES * PER_PAGE} entries. A person must look."
        )

    def now(self) -> float:
        """Unix time in seconds."""
        return self._clock()


def checked_api(api_url: str) -> str:
    """An address that our token may be sent to. Raises: ConfigError."""
    parts = urlsplit(api_url)
    safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if not safe or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ConfigError(
            "A forge's API is given as https://host/path, without password; http:// only on this machine."
        )
    return api_url.rstrip("/")


def _rows(data: Any) -> list[Any]:
    """The list that an answer is, or that it has, such as `check_runs`."""
    if isinstance(data, dict):
        return next((each for each in data.values() if isinstance(each, list)), [])
    return data if isinstance(data, list) else []
