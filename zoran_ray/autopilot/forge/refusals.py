"""What GitHub's refusals mean. No word of an answer comes through: it may quote what was sent.

Source: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api (403 or 429;
`retry-after`, else `x-ratelimit-reset` where `x-ratelimit-remaining` is 0, else a minute) and
/rest/pulls/pulls (405 and 409 of a merge).
"""

import math
from collections.abc import Mapping
from typing import Any

from github import GithubException, RateLimitExceededException

from zoran_ray.errors import ForgeRefused, ProviderBusy, UpstreamError, ZoranError

MOST_WAIT_S = 3600.0
_MINUTE_S = 60.0


def refusal(error: GithubException, now: float) -> ZoranError:
    """Our error for a status that is none of success.

    Args:
        now: Unix time in seconds.
    """
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    if _limited(error, headers):
        wait_s = _wait_s(headers, now)
        return ProviderBusy(
            f"The forge asks for patience. Try again in {wait_s:g} s.", retry_after_s=wait_s
        )
    match error.status:
        case 401:
            return ForgeRefused(
                "The forge refuses our token: it has expired, or was revoked. Give another one."
            )
        case 403:
            return ForgeRefused(
                "The token may not do this. It needs to read and write pull requests, and to read contents,"
                " checks and statuses."
            )
        case 404 | 410:
            return ForgeRefused(
                "The forge knows no such repository, branch or pull request, or hides it from our token."
            )
        case 409 | 422:
            return ForgeRefused("The forge refuses what is asked as it stands.")
        case status if status >= 500:
            return UpstreamError(f"The forge failed (status {status}). Try again.")
        case status:
            return ForgeRefused(f"The forge refuses what is asked (status {status}).")


def said(error: GithubException) -> str:
    """The message of a refusal in small letters, to be searched, never shown."""
    data: Any = error.data
    return str(data.get("message", "")).lower() if isinstance(data, dict) else ""


def reasons(error: GithubException) -> str:
    """Messages of the faults of a 422 in small letters, to be searched, never shown."""
    data: Any = error.data
    faults = data.get("errors") if isinstance(data, dict) else None
    return " ".join(str(each) for each in faults).lower() if isinstance(faults, list) else ""


def _limited(error: GithubException, headers: Mapping[str, str]) -> bool:
    if error.status == 429 or isinstance(error, RateLimitExceededException):
        return True
    spent = headers.get("x-ratelimit-remaining") == "0" or "retry-after" in headers
    return error.status == 403 and (spent or "rate limit" in said(error))


def _wait_s(headers: Mapping[str, str], now: float) -> float:
    """Between one second and an hour, whatever a header says."""
    wait_s = _number(headers.get("retry-after"))
    if wait_s is None and headers.get("x-ratelimit-remaining") == "0":
        reset = _number(headers.get("x-ratelimit-reset"))
        wait_s = None if reset is None else reset - now
    return _MINUTE_S if wait_s is None else min(max(math.ceil(wait_s), 1.0), MOST_WAIT_S)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None
