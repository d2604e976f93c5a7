"""What a server's answer means for a line: the same for whoever asks, over a socket or in a cluster."""

from collections.abc import Mapping

from zoran_ray.batch.outcome import NO_USAGE, Answered, Failed, Outcome, one_line
from zoran_ray.wire import usage_of

_AGAIN = frozenset({408, 409, 429})
_NANO = 1_000_000_000


def outcome_of(
    status: int, headers: Mapping[str, str], data: bytes, retry_after_s: float | None
) -> Outcome:
    """The outcome of one answer.

    Args:
        status: HTTP status.
        headers: Names in lower case, or a mapping that does not mind.
        data: The body.
        retry_after_s: When the server wants to be asked again, in seconds; None where it does not say.
    """
    body, document = one_line(data) or (None, None)
    retryable = (status in _AGAIN or status >= 500) and headers.get("x-should-retry") != "false"
    if body is None and not retryable:
        return Failed("bad_answer", f"The server answered {status} with what is no JSON, or too long.")
    return Answered(
        status,
        headers.get("x-request-id", ""),
        body or b"null",
        usage=usage_of(document) or NO_USAGE,
        nano_usd=_nano_usd(headers.get("x-zoran-cost-usd", "")),
        retryable=retryable,
        retry_after_s=retry_after_s,
    )


def _nano_usd(told: str) -> int:
    try:
        return max(0, round(float(told) * _NANO))
    except (ValueError, OverflowError):
        return 0
