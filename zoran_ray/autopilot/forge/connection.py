"""PyGithub's requests, bounded: one deadline for each, a limit on its answer, no retry, no redirect.

PyGithub alone has a time limit for each read, follows 301, waits on 202 for as long as a server says so,
and writes bodies into its debug log. Knows no request in particular.
"""

import logging
import ssl
from typing import Any

from github.Auth import Auth
from github.Requester import HTTPSRequestsConnectionClass, Requester, RequestsResponse

from zoran_ray.autopilot.exchange import Bounds, Exchanged, exchange
from zoran_ray.errors import ForgeRefused, UpstreamError

MOST_ANSWER_BYTES = 16 * 1024 * 1024
API_VERSION = "2022-11-28"
_SILENT = logging.Logger("zoran_ray.autopilot.forge.github", level=logging.CRITICAL + 1)
"""PyGithub logs what it sends and receives; this logger, which no handler has, lets nothing through."""


class BoundedRequester(Requester):
    """PyGithub's requester over connections of our own.

    Args:
        base_url: Of the API, checked: `https://api.github.com`.
        auth: Goes to this address only.
        deadline_s: Longest request, its answer included, in seconds.
        between_writes_s: Rest between two requests that change something, in seconds.
    """

    def __init__(self, base_url: str, auth: Auth, deadline_s: float, between_writes_s: float) -> None:
        verify: Any = ssl.create_default_context() if base_url.startswith("https:") else False
        super().__init__(
            auth, base_url, timeout=deadline_s, user_agent="zoran_ray", per_page=100,  # type: ignore[arg-type]
            verify=verify, retry=None, pool_size=None, seconds_between_requests=None,
            seconds_between_writes=between_writes_s, api_version=API_VERSION,
        )  # fmt: skip


class _Answer(RequestsResponse):
    """An answer that was read to its end."""

    def __init__(self, exchanged: Exchanged) -> None:
        self.status = exchanged.status
        self.headers = dict(exchanged.headers)  # type: ignore[assignment]
        self._body = exchanged.body

    def read(self) -> str:
        return self._body.decode(errors="replace")


class _Connection(HTTPSRequestsConnectionClass):
    """One request and its answer. Blocks; not for a thread that runs an event loop."""

    def __init__(self, host: str, port: int | None = None, *, timeout: Any = None, **options: Any) -> None:
        if timeout is None:  # so PyGithub connects to addresses that come from an answer
            raise UpstreamError("The forge's answer leads to another address.")
        self.host = host
        name = f"[{host}]" if ":" in host else host
        self._origin = f"{self._scheme}://{name}" + (f":{port}" if port else "")
        self._deadline_s: float = timeout
        self._verify = options["verify"]

    _scheme = "https"

    def getresponse(self) -> RequestsResponse:
        bounds = Bounds("forge", self._deadline_s, MOST_ANSWER_BYTES, self._verify)
        content = self.input if isinstance(self.input, str) else None
        answer = exchange(bounds, self.verb, self._origin + self.url, self.headers, content)
        if 300 <= answer.status < 400:
            raise ForgeRefused("The repository has moved. Name it by its present address.")
        if answer.status == 202:
            raise UpstreamError("The forge is not ready to answer. Try again.", retry_after_s=5.0)
        return _Answer(answer)

    def close(self) -> None:
        """Nothing is open between requests."""


class _PlainConnection(_Connection):
    _scheme = "http"


BoundedRequester.injectLogger(_SILENT)
BoundedRequester.injectConnectionClasses(_PlainConnection, _Connection)  # type: ignore[arg-type]
