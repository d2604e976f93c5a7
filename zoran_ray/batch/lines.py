"""The lines of an input file: each is one request, or says what is wrong with it. Reads as it goes.

Source: OpenAI's Batch API, request input object (`custom_id`, `method`, `url`, `body`), one a line.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, BinaryIO

from zoran_ray import wire
from zoran_ray.errors import InvalidRequest
from zoran_ray.wire import Endpoint

MAX_LINES = 50_000
MAX_LINE_BYTES = 8 * 1024 * 1024
MAX_CUSTOM_ID_CHARS = 512
MAX_DEPTH = 64

SERVED = {
    endpoint.path: endpoint for endpoint in Endpoint if endpoint.streams or endpoint is Endpoint.EMBEDDINGS
}
"""What a line may ask for, by its path."""

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Line:
    """One request.

    Attributes:
        number: Of the line in its file, from 1.
        at: Where the line begins, in bytes.
        size: Bytes of the line.
        custom_id: The caller's name for it, unique in its file.
        model: The model that it asks.
    """

    number: int
    at: int
    size: int
    custom_id: str
    model: str


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be asked.

    Attributes:
        number: Of the line in its file, from 1.
        code: `invalid_json`, `invalid_request`, `duplicate_custom_id`, `line_too_long` or `too_many_lines`.
        message: What is wrong, with the line's number.
        custom_id: The caller's name for it; None where it cannot be read or is another line's.
    """

    number: int
    code: str
    message: str
    custom_id: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What a line asks for."""

    custom_id: str
    endpoint: Endpoint
    body: dict[str, Any] = field(repr=False)


class LineError(Exception):
    """A line is no request; the attributes are those of a `BadLine`."""

    def __init__(self, code: str, message: str, custom_id: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.custom_id = custom_id


def read_lines(
    file: BinaryIO, *, endpoint: str | None = None, model: str | None = None, most: int = MAX_LINES
) -> Iterator[Line | BadLine]:
    """All lines of a file, in order; empty ones are passed over.

    Args:
        file: Read from where it stands, a line at a time.
        endpoint: Path that all lines must name; None for any that is served.
        model: Asked instead of the one that a line names.
        most: Requests that one file may have; what follows is one `BadLine`.
    """
    first: dict[bytes, int] = {}
    found = 0
    for number, at, raw, whole in _raw_lines(file):
        if whole and not raw.strip():
            continue
        if (found := found + 1) > most:
            message = f"Line {number}: a file may have {most} requests at most. Split it."
            yield BadLine(number, "too_many_lines", message)
            return
        yield _judged(number, at, raw, whole, endpoint, model, first)


def parse_line(
    raw: bytes, number: int, *, endpoint: str | None = None, model: str | None = None
) -> Request:
    """The request that a line is.

    Raises:
        LineError: It is none.
    """
    try:
        document = wire.read(raw.removeprefix(_BOM).strip(), max_depth=MAX_DEPTH, what=f"Line {number}")
    except InvalidRequest as error:
        # There is but one line in it.
        raise LineError("invalid_json", error.message.replace("(line 1, ", "(")) from None
    custom_id = _custom_id(document, number)
    try:
        url = _url(document, endpoint)
        return Request(custom_id, url, _body(document, model))
    except InvalidRequest as error:
        raise LineError("invalid_request", f"Line {number}: {error.message}", custom_id) from None


def _judged(
    number: int,
    at: int,
    raw: bytes,
    whole: bool,
    endpoint: str | None,
    model: str | None,
    first: dict[bytes, int],
) -> Line | BadLine:
    if not whole:
        message = f"Line {number} is longer than {MAX_LINE_BYTES} bytes."
        return BadLine(number, "line_too_long", message)
    request: Request | None = None
    error: LineError | None = None
    try:
        request = parse_line(raw, number, endpoint=endpoint, model=model)
        custom_id: str | None = request.custom_id
    except LineError as wrong:
        error, custom_id = wrong, wrong.custom_id
    if custom_id is not None:
        # Of a fixed size, whatever callers take for names.
        earlier = first.setdefault(blake2b(custom_id.encode(), digest_size=16).digest(), number)
        if earlier != number:
            message = f"Line {number}: its custom_id is already that of line {earlier}."
            return BadLine(number, "duplicate_custom_id", message)
    if request is None:
        assert error is not None
        return BadLine(number, error.code, error.message, custom_id)
    return Line(number, at, len(raw), request.custom_id, request.body["model"])


def _raw_lines(file: BinaryIO) -> Iterator[tuple[int, int, bytes, bool]]:
    """Number, place, bytes and whether these are all of it; of a line that is too long only a part."""
    at = file.tell()
    number = 0
    while raw := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        begins, at = at, at + len(raw)
        whole = raw.endswith(b"\n") or len(raw) <= MAX_LINE_BYTES
        yield number, begins, raw, whole
        while not whole and (rest := file.readline(1 << 20)):
            at += len(rest)
            whole = rest.endswith(b"\n")


def _custom_id(document: dict[str, Any], number: int) -> str:
    found = document.get("custom_id")
    if type(found) is str and 1 <= len(found) <= MAX_CUSTOM_ID_CHARS:
        return found
    message = f"Line {number}: 'custom_id' must be a string of 1 to {MAX_CUSTOM_ID_CHARS} characters."
    raise LineError("invalid_request", message)


def _url(document: dict[str, Any], endpoint: str | None) -> Endpoint:
    if document.get("method", "POST") != "POST":
        raise InvalidRequest("'method' must be \"POST\".")
    url = document.get("url")
    if type(url) is not str or url not in SERVED:
        raise InvalidRequest(f"'url' must be one of {', '.join(SERVED)}.")
    if endpoint is not None and url != endpoint:
        raise InvalidRequest(f"'url' must be that of the batch, {endpoint}.")
    return SERVED[url]


def _body(document: dict[str, Any], model: str | None) -> dict[str, Any]:
    body = document.get("body")
    if type(body) is not dict:
        raise InvalidRequest("'body' must be an object.")
    if body.get("stream"):
        raise InvalidRequest("'body.stream' must not be set: an answer in a file comes whole.")
    if model is not None:
        body = {**body, "model": model}
    if type(body.get("model")) is not str or not body["model"]:
        raise InvalidRequest("'body.model' must name a model.")
    return body
