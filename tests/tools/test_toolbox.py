"""Whatever a tool does, a call ends in time with a short, clean text."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.errors import ConfigError, InvalidRequest, UpstreamError
from zoran_ray.tools import toolbox as toolbox_room
from zoran_ray.tools.calculator import Calculator
from zoran_ray.tools.tool import Observation
from zoran_ray.tools.toolbox import UNLISTED, Toolbox

ANYTHING = {"type": "object"}
LATER = float("inf")


@dataclass
class Scripted:
    """A tool that does what the test says."""

    does: Any = "done"
    name: str = "scripted"
    description: str = "Does what the test says."
    parameters: dict = field(default_factory=lambda: ANYTHING)
    permission: str = "local"
    timeout_s: float = 5.0
    calls: list = field(default_factory=list)

    async def call(self, arguments):
        self.calls.append(arguments)
        result = self.does
        if callable(result):
            result = await result()
        if isinstance(result, BaseException):
            raise result
        return Observation(result) if isinstance(result, str) else result


def box(*tools, heard=None, **options):
    audit = heard.append if heard is not None else lambda call: None
    return Toolbox(tools, {tool.name for tool in tools}, audit=audit, **options)


async def asked(tool, arguments=None, **options):
    return await box(tool, **options).call(tool.name, arguments or {}, deadline=LATER)


async def test_an_allowed_tool_is_called_and_told_of():
    heard = []
    seen = await box(Calculator(), heard=heard).call("calculator", {"expression": "6*7"}, deadline=LATER)
    assert seen == Observation("42")
    (call,) = heard
    assert (call.name, call.ok, call.result_bytes) == ("calculator", True, 2)
    assert call.took_ms >= 0
    assert "6*7" not in repr(call)


async def test_what_is_not_allowed_or_granted_is_neither_offered_nor_called():
    heard = []
    local, far, other = Scripted(), Scripted(name="far", permission="network"), Scripted(name="other")
    tools = Toolbox([local, far, other], ["scripted", "far"], audit=heard.append)
    assert [offer.name for offer in tools.offers] == ["scripted"]
    for name in ("far", "other", "nothing; my secret"):
        seen = await tools.call(name, {}, deadline=LATER)
        assert not seen.ok
        assert seen.text == "There is no such tool. You may use: scripted."
    assert not far.calls
    assert not other.calls
    assert [call.name for call in heard] == [UNLISTED] * 3
    granted = Toolbox([far], ["far"], {"network"})
    assert (await granted.call("far", {}, deadline=LATER)).ok


async def test_a_request_may_take_fewer():
    tools = box(Scripted(), Scripted(name="other"))
    fewer = tools.only(["other"])
    assert [offer.name for offer in fewer.offers] == ["other"]
    assert not (await fewer.call("scripted", {}, deadline=LATER)).ok
    assert (await tools.call("scripted", {}, deadline=LATER)).ok
    with pytest.raises(InvalidRequest):
        fewer.only(["scripted"])


@pytest.mark.parametrize(
    "tools",
    [
        [Scripted(), Scripted()],
        [Scripted(name="two words")],
        [Scripted(name="")],
        [Scripted(permission="root")],
        [Scripted(parameters={"type": "nothing"})],
        [Scripted(parameters={"type": "string"})],
        [Scripted(parameters=[])],
        [Scripted(parameters=True)],
        [Scripted(parameters={"type": "object", "$ref": "https://example.org/schema.json"})],
        [Scripted(parameters={"type": "object", "patternProperties": {"(a+)+$": {}}})],
        [Scripted(parameters={"type": "object", "description": "x" * 70_000})],
    ],
)
def test_a_toolbox_that_cannot_be_is_refused(tools):
    with pytest.raises(ConfigError):
        box(*tools)


def test_an_allowed_name_that_is_no_tools_is_refused():
    with pytest.raises(ConfigError, match="calculator"):
        Toolbox([Calculator()], ["calculater"])


@pytest.mark.parametrize(
    "arguments",
    [{}, {"expression": 3}, {"expression": "1", "more": 1}, [], "1", None, {"expression": "1" * 70_000},
     {"expression": float("nan")}, {1: object()}],
)  # fmt: skip
async def test_arguments_that_do_not_fit_never_reach_the_tool(arguments):
    seen = await box(Calculator()).call("calculator", arguments, deadline=LATER)
    assert not seen.ok
    assert seen.text.startswith("Wrong arguments. ")
    assert len(seen.text) < 400


async def test_what_is_wrong_is_told_cleanly():
    tool = Scripted(parameters={"type": "object", "additionalProperties": {"type": "string"}})
    seen = await asked(tool, {"\ud800": 1, "é\x00": 2}, most_bytes=30)
    assert not seen.ok
    assert len(seen.text.encode()) <= 30


def _doubled(depth):
    parts = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(depth)}
    return {"type": "object", "$defs": {**parts, f"d{depth}": {}}, "$ref": "#/$defs/d0"}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "$ref": "#"},
        {"type": "object", "$ref": "#/$defs/missing"},
        _doubled(40),
        {"type": "object", "properties": {"a": {"items": {"allOf": [{"type": "array"}] * 3000}}}},
    ],
)
async def test_a_schema_that_leads_to_no_end_is_no_harm(schema):
    tool = Scripted(parameters=schema)
    seen = await asked(tool, {"a": [[]] * 10_000})
    assert not seen.ok
    assert not tool.calls


async def test_what_could_take_for_ever_is_left_to_the_tool():
    text = {"type": "string", "pattern": "(a+)+$", "$schema": "http://json-schema.org/draft-07/schema#"}
    tool = Scripted(
        parameters={"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": text}}
    )
    assert (await asked(tool, {"a": "a" * 5000 + "!"})).ok


async def test_a_hundred_megabytes_are_cut():
    heard = []
    tool = Scripted(does="é" * 50_000_000)
    seen = await box(tool, heard=heard).call("scripted", {}, deadline=LATER)
    assert seen.ok
    assert seen.truncated
    assert len(seen.text.encode()) == heard[0].result_bytes == 16_384


@given(st.text(st.characters(), max_size=80), st.integers(1, 40))
def test_any_text_becomes_clean_and_short(text, most_bytes):
    seen = asyncio.run(asked(Scripted(does=text), most_bytes=most_bytes))
    assert len(seen.text.encode()) <= most_bytes
    assert not any(sign < " " and sign not in "\t\n" for sign in seen.text)
    if seen.text != text.replace("\r\n", "\n").replace("\r", "\n") and "\ufffd" not in seen.text:
        assert seen.truncated


async def test_halves_of_characters_and_signs_of_control_are_replaced():
    seen = await asked(Scripted(does="a\udc80b\x1b[31mc\x00\r\nd\te"))
    assert seen == Observation("a\ufffdb\ufffd[31mc\ufffd\nd\te")


@pytest.mark.parametrize("nonsense", [None, 7, b"\xff\xfe", Observation(b"\xff"), Observation(None)])
async def test_what_is_no_observation_is_a_failure(nonsense):
    seen = await asked(Scripted(does=nonsense))
    assert seen == Observation("The tool gave no text.", ok=False)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (UpstreamError("The page is gone. Try another."), "The page is gone. Try another."),
        (ValueError("a secret"), "The tool failed (ValueError)."),
        (RecursionError(), "The tool failed (RecursionError)."),
        (SystemExit(1), "The tool failed (SystemExit)."),
        (asyncio.CancelledError(), "The tool broke off."),
    ],
)
async def test_a_tool_that_raises_is_an_observation(error, words):
    heard = []
    seen = await box(Scripted(does=error), heard=heard).call("scripted", {}, deadline=LATER)
    assert seen == Observation(words, ok=False)
    assert not heard[0].ok


async def test_a_tool_that_hangs_is_stopped():
    stopped = asyncio.Event()

    async def hang():
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    seen = await asked(Scripted(does=hang, timeout_s=0.01))
    assert not seen.ok
    assert stopped.is_set()


async def test_a_tool_that_will_not_stop_is_left_behind(monkeypatch):
    monkeypatch.setattr(toolbox_room, "GRACE_S", 0.01)
    free = asyncio.Event()

    async def stubborn():
        while not free.is_set():
            try:
                await free.wait()
            except asyncio.CancelledError:
                continue
        return "too late"

    seen = await asyncio.wait_for(asked(Scripted(does=stubborn, timeout_s=0.01)), 10)
    assert not seen.ok
    assert len(toolbox_room._leaving) == 1
    free.set()
    while toolbox_room._leaving:
        await asyncio.sleep(0)


async def test_no_tool_begins_after_the_deadline():
    tool = Scripted()
    seen = await box(tool, clock=lambda: 10.0).call("scripted", {}, deadline=10.0)
    assert not seen.ok
    assert not tool.calls


async def test_a_cancellation_stops_the_tool_and_is_told_of():
    heard, begun, stopped = [], asyncio.Event(), asyncio.Event()

    async def hang():
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    call = asyncio.create_task(box(Scripted(does=hang), heard=heard).call("scripted", {}, deadline=LATER))
    await begun.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert stopped.is_set()
    assert [(told.name, told.ok) for told in heard] == [("scripted", False)]
