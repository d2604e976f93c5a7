"""Structured logs on the standard library's `logging`: JSON lines, or readable ones on a terminal.

Knows no HTTP. Fields whose names mean a secret or a prompt are dropped before anything is formatted,
whoever logged them; messages themselves must not carry any, that nobody can check here.
"""

import json
import logging
import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

_request_id: ContextVar[str | None] = ContextVar("zoran_request_id", default=None)

SECRET_FIELDS: Final = frozenset(
    {
        "api_key",
        "authorization",
        "body",
        "content",
        "cookie",
        "input",
        "instructions",
        "key",
        "messages",
        "password",
        "prompt",
        "proxy_authorization",
        "secret",
        "set_cookie",
        "system",
        "token",
        "x_api_key",
    }
)
"""Compared in lower case with `-` as `_`, at any depth."""
_MAX_DEPTH = 6
_OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


@contextmanager
def bind_request_id(request_id: str) -> Iterator[None]:
    """Every line logged inside, also by tasks started inside, carries this request id."""
    token = _request_id.set(request_id)
    try:
        yield
    finally:
        _request_id.reset(token)


def configure(
    format: Literal["json", "pretty", "auto"] = "auto",
    level: Literal["debug", "info", "warning", "error"] = "info",
    stream: TextIO | None = None,
) -> None:
    """Send all logs of this process to one stream. Calling it again replaces the earlier choice.

    Args:
        format: `auto` is `pretty` on a terminal and `json` elsewhere.
        stream: Standard error if not given.
    """
    stream = stream if stream is not None else sys.stderr
    pretty = format == "pretty" or (format == "auto" and stream.isatty())
    handler = _Handler(stream)
    handler.addFilter(redact)
    handler.setFormatter(PrettyFormatter() if pretty else JsonFormatter())
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    # First in line: it redacts the record itself, so handlers of others never see a secret either.
    root.handlers.sort(key=lambda h: h is not handler)
    root.setLevel(level.upper())


def redact(record: logging.LogRecord) -> bool:
    """A logging filter that lets every record pass, without its secret fields."""
    for name in _extras(record):
        if _is_secret(name):
            delattr(record, name)
        else:
            setattr(record, name, _redacted(getattr(record, name), _MAX_DEPTH))
    if isinstance(record.args, Mapping):
        # `%(api_key)s` must find something, or formatting fails.
        record.args = {n: "[redacted]" if _is_secret(n) else _argument(v) for n, v in record.args.items()}
    elif record.args:
        record.args = tuple(_argument(value) for value in record.args)
    return True


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ts, level, logger, message, request_id, and whatever came in `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        own = {
            "ts": _timestamp(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line: dict[str, Any] = own | _fields(record) | own
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class PrettyFormatter(logging.Formatter):
    """One line for a person: time, level, logger, message, fields."""

    def format(self, record: logging.LogRecord) -> str:
        clock = _timestamp(record)[11:19]
        fields = "".join(f"  {name}={_one_line(value)}" for name, value in _fields(record).items())
        line = (
            f"{clock} {record.levelname.lower():<7} {record.name}  {_one_line(record.getMessage())}{fields}"
        )
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, so that `configure` can find the one it installed before."""


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    request_id = _request_id.get()
    own = {} if request_id is None else {"request_id": request_id}
    return own | {name: getattr(record, name) for name in _extras(record)}


def _extras(record: logging.LogRecord) -> list[str]:
    # Libraries stamp records with bookkeeping of their own; Ray does, as `_ray_timestamp_ns`.
    return [name for name in vars(record) if name not in _OWN_FIELDS and not name.startswith("_")]


def _is_secret(name: object) -> bool:
    return isinstance(name, str) and name.lower().replace("-", "_") in SECRET_FIELDS


def _redacted(value: Any, depth: int) -> Any:
    """The value without secret fields inside it, and without floats JSON does not have."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if not isinstance(value, Mapping | list | tuple):
        return value
    if depth == 0:
        return "…"
    if isinstance(value, Mapping):
        return {str(k): _redacted(v, depth - 1) for k, v in value.items() if not _is_secret(k)}
    return [_redacted(v, depth - 1) for v in value]


def _argument(value: Any) -> Any:
    """Containers redacted, anything else as it is: `%d` and `%f` want their number."""
    return _redacted(value, _MAX_DEPTH) if isinstance(value, Mapping | list | tuple) else value


def _one_line(value: object) -> str:
    """Control characters escaped, so that no value can forge a log line or drive a terminal."""
    text = str(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _timestamp(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
