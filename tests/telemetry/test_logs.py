import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoran_ray.telemetry.logs import SECRET_FIELDS, bind_request_id, configure

log = logging.getLogger("zoran.test")


@pytest.fixture(autouse=True)
def root_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_carries_the_fields_and_the_request_id() -> None:
    configure("json", "info", stream := io.StringIO())
    with bind_request_id("req-1"):
        log.info("served %s", "local/pocket", extra={"status": 200, "ttft_s": 0.05})
    log.debug("not shown")
    log.warning("after")
    first, second = lines(stream)
    ts = first.pop("ts")
    assert ts.endswith("+00:00")
    assert first == {
        "level": "info",
        "logger": "zoran.test",
        "message": "served local/pocket",
        "request_id": "req-1",
        "status": 200,
        "ttft_s": 0.05,
    }
    assert "request_id" not in second


async def test_request_ids_of_concurrent_tasks_do_not_mix() -> None:
    configure("json", "info", stream := io.StringIO())

    async def serve(name: str) -> None:
        with bind_request_id(name):
            await asyncio.sleep(0)
            log.info(name)

    await asyncio.gather(*(serve(f"r{i}") for i in range(5)))
    assert all(line["request_id"] == line["message"] for line in lines(stream))


@pytest.mark.parametrize("format", ["json", "pretty"])
@settings(deadline=None)
@given(st.sampled_from(sorted(SECRET_FIELDS)), st.booleans(), st.integers(0, 2))
def test_secrets_never_reach_the_stream(format: Any, field: str, upper: bool, depth: int) -> None:
    configure(format, "info", stream := io.StringIO())
    name = field.upper().replace("_", "-") if upper else field
    value: Any = {name: "hunter2", "kept": "yes"}
    for _ in range(depth):
        value = [{"inner": value}]
    log.info("as field", extra={"details": value, name: "hunter2"})
    log.info("as argument %s", value)
    log.info("named %(" + name + ")s", {name: "hunter2"})
    log.info("one of %s %s", 1, value)
    assert "hunter2" not in stream.getvalue()
    assert stream.getvalue().count("yes") == 3


def test_exceptions_are_logged_on_one_json_line() -> None:
    configure("json", "info", stream := io.StringIO())
    try:
        raise ValueError("boom")
    except ValueError:
        log.exception("failed")
    (line,) = lines(stream)
    assert "ValueError: boom" in line["exception"]


def test_json_stays_json_with_odd_values() -> None:
    configure("json", "info", stream := io.StringIO())
    loop: dict[str, Any] = {}
    loop["self"] = loop
    log.info("%d odd", 3, extra={"nan": float("nan"), "object": object(), "loop": loop, "level": "mine"})
    (line,) = lines(stream)
    assert (line["message"], line["nan"], line["level"]) == ("3 odd", "nan", "info")


def test_pretty_is_one_line_that_nothing_can_forge() -> None:
    configure("pretty", "info", stream := io.StringIO())
    log.info("name %s", "a\n12:00:00 error fake", extra={"path": "\x1b[2J/v1"})
    (line,) = stream.getvalue().splitlines()
    assert line.endswith("info    zoran.test  name a\\n12:00:00 error fake  path=\\x1b[2J/v1")


def test_bookkeeping_of_libraries_is_not_logged() -> None:
    configure("json", "info", stream := io.StringIO())
    log.info("stamped", extra={"_stamp_ns": 1, "kept": 2})
    (line,) = lines(stream)
    assert "_stamp_ns" not in line
    assert line["kept"] == 2


def test_auto_is_pretty_on_a_terminal_only() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    configure("auto", "info", terminal := Terminal())
    log.info("hello")
    configure("auto", "info", pipe := io.StringIO())
    log.info("hello")
    assert not terminal.getvalue().startswith("{")
    assert len(terminal.getvalue().splitlines()) == 1, "configuring again replaced the first handler"
    assert lines(pipe)[0]["message"] == "hello"
