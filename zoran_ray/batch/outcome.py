"""What became of a line, and how that is written into a file.

Source: OpenAI's Batch API, request output object (`id`, `custom_id`, `response`, `error`), one a line.
"""

from dataclasses import dataclass, field
from typing import Any

import orjson

from zoran_ray.wire import Usage

MAX_ANSWER_BYTES = 16 * 1024 * 1024
NO_USAGE = Usage()


@dataclass(frozen=True, slots=True)
class Answered:
    """What a server answered, good or bad.

    Attributes:
        status: HTTP status.
        request_id: By which the server's log has it.
        body: JSON.
        usage: Tokens, where the answer says.
        nano_usd: What it cost, in billionths of a USD.
        retryable: Whether asking again may help.
        retry_after_s: When the server wants to be asked again, in seconds; None where it does not say.
    """

    status: int
    request_id: str
    body: bytes = field(repr=False)
    usage: Usage = NO_USAGE
    nano_usd: int = 0
    retryable: bool = False
    retry_after_s: float | None = None

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Failed:
    """There is no answer.

    Attributes:
        code: For programs.
        message: For people.
    """

    code: str
    message: str


Outcome = Answered | Failed


def is_good(outcome: Outcome) -> bool:
    """Whether it belongs into the output file; everything else goes into that of errors."""
    return isinstance(outcome, Answered) and outcome.good


def entry(line_id: str, custom_id: str | None, outcome: Outcome) -> bytes:
    """The line that is written, its end included.

    Args:
        line_id: Unique among all lines of all batches.
        custom_id: The caller's name for it.
    """
    response = error = None
    if isinstance(outcome, Answered):
        body = orjson.Fragment(outcome.body)
        response = {"status_code": outcome.status, "request_id": outcome.request_id, "body": body}
    else:
        error = {"code": outcome.code, "message": outcome.message}
    told = {"id": line_id, "custom_id": custom_id, "response": response, "error": error}
    return orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)


def one_line(body: bytes) -> tuple[bytes, Any] | None:
    """An answer's JSON on one line, and what it says; None where it is none, or too long to be kept."""
    if len(body) > MAX_ANSWER_BYTES:
        return None
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return (orjson.dumps(parsed) if b"\n" in body or b"\r" in body else body), parsed
