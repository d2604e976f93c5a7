"""What a request holds once its limits let it in. Knows neither leases nor the ledger."""

import math
from collections.abc import Callable

Headers = tuple[tuple[bytes, bytes], ...]


class Admission:
    """Permission for one request.

    Args:
        headers: `x-ratelimit-*` for the response.
        settle: Told, once, how many tokens were used.
    """

    __slots__ = ("_settle", "headers")

    def __init__(self, headers: Headers = (), settle: Callable[[int], None] | None = None) -> None:
        self.headers = headers
        self._settle = settle

    def settle(self, actual_tokens: int) -> None:
        """Corrects the reserved tokens to those really used; 0 if the request failed. Counts once."""
        settle, self._settle = self._settle, None
        if settle is not None:
            settle(max(0, actual_tokens))


UNLIMITED = Admission()
"""Shared by all requests of keys without limits."""


def rate_limit_headers(kind: str, limit: int, remaining: int, reset_s: float) -> Headers:
    """The three headers OpenAI sends for one kind of limit.

    Source: https://platform.openai.com/docs/guides/rate-limits, "Rate limits in headers".
    """
    name = kind.encode()
    return (
        (b"x-ratelimit-limit-" + name, b"%d" % limit),
        (b"x-ratelimit-remaining-" + name, b"%d" % remaining),
        (b"x-ratelimit-reset-" + name, duration(reset_s).encode()),
    )


def duration(seconds: float) -> str:
    """A time as OpenAI writes it: `6m0s`, `1.5s`, `20ms`; rounded up to a millisecond."""
    ms = math.ceil(round(seconds * 1000, 6))  # 1.1 * 1000 is a little above 1100
    if ms == 0:
        return "0s"
    if ms < 1000:
        return f"{ms}ms"
    minutes, rest = divmod(ms, 60_000)
    return (f"{minutes}m" if minutes else "") + f"{rest / 1000:g}s"
