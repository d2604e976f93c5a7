"""A key is planted, every fault is run with all logs on, and everything that was written is searched."""

import io
import logging
import pickle
import traceback
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from tests.engines.providers.asking import KEY, SPEECHES, asked, heard, served
from tests.engines.providers.fake_provider import hold, html, reset_at_once, says, stream
from tests.engines.providers.speeches import CHAT, Said, Speech, error, event
from zoran_ray.errors import ZoranError
from zoran_ray.telemetry.logs import JsonFormatter, PrettyFormatter
from zoran_ray.wire import answer
from zoran_ray.wire import event as error_event

PART = KEY[8:]
"""What is left of the key without the prefix that all such keys have."""
ECHO = f"Incorrect key {KEY}, Bearer {KEY}; sent: {{'authorization': 'Bearer {KEY}'}}"
DELTA = event(Speech().piece(CHAT, "Hello"))
ECHOED = {"www-authenticate": f'Bearer realm="{KEY}"', "set-cookie": f"k={KEY}", "retry-after": "1"}

FAULTS: dict[str, Any] = {
    **{f"status {n}": says(Said(error(ECHO, "x", KEY, KEY), n, ECHOED)) for n in (400, 401, 403, 404, 413)},
    **{
        f"status {n}": says(Said(error(ECHO, "x", None, None), n, ECHOED))
        for n in (422, 429, 500, 503, 529)
    },
    "plain text": says(Said(ECHO.encode(), 400, {"content-type": "text/plain"})),
    "validation error": says(Said({"detail": [{"loc": ["body", KEY], "msg": ECHO, "input": KEY}]}, 422)),
    "redirect": says(Said(b"", 307, {"location": f"http://127.0.0.1:1/?key={KEY}"})),
    "html": html(),
    "hang": hold,
    "reset": reset_at_once,
    "cut": stream(DELTA, then="cut"),
    "malformed": stream(DELTA, f"data: {{{ECHO}\n\n".encode()),
    "not json": says(Said(ECHO.encode())),
    "error within": says(Said(error(ECHO, "x", KEY, 400))),
    "error in the stream": stream(event(error(ECHO, KEY, KEY, 400))),
    "later in the stream": stream(DELTA, event(error(ECHO, KEY, KEY, 401))),
    "no choices": says(Said(Speech().chat() | {"choices": []})),
}


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Everything any logger says, in both of our formats and as the record itself."""
    out = io.StringIO()

    class Everything(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            for formatter in (JsonFormatter(), PrettyFormatter(), logging.Formatter()):
                out.write(formatter.format(record) + "\n")
            out.write(f"{vars(record)!r}\n")

    root, handler = logging.getLogger(), Everything()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield out
    root.removeHandler(handler)
    root.setLevel(level)


def shown(thing: object) -> str:
    """All that an unlucky line of code could print of it, and what hangs on it."""
    parts = [repr(thing), str(thing), f"{thing}", repr(getattr(thing, "__dict__", ""))]
    if isinstance(thing, BaseException):
        parts += traceback.format_exception(thing)
        for other in (thing.__cause__, thing.__context__):
            request = getattr(other, "_request", None)
            parts.append(repr(getattr(request, "headers", None) and request.headers.raw))
    if isinstance(thing, ZoranError):
        parts.append(repr(pickle.dumps(thing)))
        parts.append(repr(answer(thing, request_id="r")) + repr(error_event(thing, "openai")))
    return "\n".join(parts)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("fault", FAULTS)
async def test_no_fault_shows_the_key(fault: str, streamed: bool, written: io.StringIO) -> None:
    async with served("openai") as (engine, provider):
        provider.will(FAULTS[fault])
        with pytest.raises(ZoranError) as caught:
            await heard(await engine.open(asked(stream=streamed, seconds=0.2 if fault == "hang" else 20)))
    assert any(KEY in value for value in provider.requests[0].headers.values()), "the canary never flew"
    assert PART not in shown(caught.value)
    assert PART not in written.getvalue()


@pytest.mark.parametrize("name", SPEECHES)
async def test_no_good_answer_shows_the_key_either(name: str, written: io.StringIO) -> None:
    async with served(name) as (engine, provider):
        for streamed in (False, True):
            reply = await engine.open(asked(stream=streamed))
            connection = engine._connection
            held = [engine, connection, connection._pool, connection._key, connection.refusals, reply]
            held += [reply._reply, reply._reply._response, reply._reply._response.request]
            held.append(reply._reply._response.request.headers.raw)
            assert not any(PART in shown(each) for each in held)
            assert not any(PART.encode() in chunk for chunk in await heard(reply))
    assert provider.requests
    assert PART not in written.getvalue()


@pytest.mark.parametrize("taken", ["engine", "connection", "refusals"])
async def test_what_holds_the_key_cannot_be_pickled(taken: str) -> None:
    async with served("openai") as (engine, _):
        await heard(await engine.open(asked()))
        things = {
            "engine": engine,
            "connection": engine._connection,
            "refusals": engine._connection.refusals,
        }
        with pytest.raises(Exception) as caught:
            pickle.dumps(things[taken])
        assert PART not in shown(caught.value)
        with pytest.raises(TypeError):
            orjson.dumps(things[taken])
