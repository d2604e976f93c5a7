"""JSON over HTTP with a place to deploy to, and its refusals as our errors. Knows no place in particular.

The token goes to one address and into one header. No word of an answer comes into an error.
"""

import json
import math
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from zoran_ray.api_key import ApiKey
from zoran_ray.autopilot.exchange import Bounds, Exchanged, exchange
from zoran_ray.errors import DeployRefused, ProviderBusy, UpstreamError, ZoranError

MOST_ANSWER_BYTES = 8 * 1024 * 1024
MOST_WAIT_S = 3600.0
_EPOCH_S = 1e9
"""A larger number is a time; a smaller one are seconds from now."""


class Api:
    """Requests with one token.

    Args:
        place: What messages call it.
        base_url: `https://api.example.com/v1`; plain HTTP for this machine only, as settings have checked.
        token: Read for each request, so that a new one is used at once.
        deadline_s: Longest request, its answer included, in seconds.
        clock: Unix time in seconds.
    """

    def __init__(
        self, place: str, base_url: str, token: Callable[[], ApiKey], deadline_s: float,
        *, clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self.place = place
        self._base_url = base_url.rstrip("/")
        self._token = token
        self._deadline_s = deadline_s
        self._clock = clock
        encrypted = urlsplit(base_url).scheme == "https"
        self._verify: ssl.SSLContext | bool = ssl.create_default_context() if encrypted else False

    def get(self, *path: str, **query: str) -> Any:
        """What there is. Args: path: Its parts, each quoted. Raises: ZoranError."""
        return self._json("GET", path, query, None)

    def post(self, *path: str, said: Mapping[str, Any], **query: str) -> Any:
        """Does something; None where the answer is empty. Raises: ZoranError."""
        return self._json("POST", path, query, json.dumps(said))

    def _json(self, verb: str, path: tuple[str, ...], query: Mapping[str, str], said: str | None) -> Any:
        answer = self._asked(verb, path, query, said)
        if not 200 <= answer.status < 300:
            raise self._refusal(answer)
        if not answer.body.strip():
            return None
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError):
            raise UpstreamError(f"{self.place}'s answer cannot be read.") from None

    def _asked(
        self, verb: str, path: tuple[str, ...], query: Mapping[str, str], said: str | None
    ) -> Exchanged:
        headers = {
            "Authorization": self._token().header("Bearer ").decode(),
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": "zoran_ray",
        }
        url = "/".join((self._base_url, *(quote(part, safe="") for part in path)))
        bounds = Bounds(f"API of {self.place}", self._deadline_s, MOST_ANSWER_BYTES, self._verify)
        return exchange(bounds, verb, url + (f"?{urlencode(query)}" if query else ""), headers, said)

    def _refusal(self, answer: Exchanged) -> ZoranError:
        match answer.status:
            case 401 | 403:
                return DeployRefused(f"{self.place} refuses our token. Give one that may deploy.")
            case 404 | 410:
                return DeployRefused(f"{self.place} does not know what is asked for, or hides it from us.")
            case 409 | 423:
                return ProviderBusy(
                    f"Somebody else is changing this at {self.place}. Look again.", retry_after_s=5.0
                )
            case 429:
                wait_s = _wait_s(answer.headers, self._clock())
                return ProviderBusy(
                    f"{self.place} asks for patience. Try again in {wait_s:g} s.", retry_after_s=wait_s
                )
            case status if status < 400:
                return UpstreamError(f"{self.place}'s answer leads to another address.")
            case status if status >= 500:
                return UpstreamError(f"{self.place} failed (status {status}). Look what was done.")
            case status:
                return DeployRefused(f"{self.place} refuses what is asked (status {status}).")


def at(data: Any, *path: str | int) -> Any:
    """What is at a place of an answer; None where it is not as expected."""
    for key in path:
        if isinstance(data, dict) and isinstance(key, str):
            data = data.get(key)
        elif isinstance(data, list) and isinstance(key, int) and -len(data) <= key < len(data):
            data = data[key]
        else:
            return None
    return data


def rows_at(data: Any, *path: str | int) -> list[dict[str, Any]]:
    """The objects in a list of an answer. Raises: UpstreamError: There is no list."""
    found = at(data, *path)
    if not isinstance(found, list):
        raise UpstreamError("The answer has no list where there should be one.")
    return [row for row in found if isinstance(row, dict)]


def text_at(data: Any, *path: str | int) -> str:
    """A text of an answer; empty where there is none."""
    found = at(data, *path)
    return found if isinstance(found, str) else ""


def _wait_s(headers: Mapping[str, str], now: float) -> float:
    """Between one second and an hour, whatever a header says; a minute where none says anything."""
    for name in ("retry-after", "ratelimit-reset", "x-ratelimit-reset"):
        try:
            number = float(headers.get(name, ""))
        except ValueError:
            continue
        if math.isfinite(number):
            wait_s = number - now if number > _EPOCH_S else number
            return min(max(math.ceil(wait_s), 1.0), MOST_WAIT_S)
    return 60.0
