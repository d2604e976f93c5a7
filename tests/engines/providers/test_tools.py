from typing import Any

import pytest

from zoran_ray.engines.providers.parameters import Parameters
from zoran_ray.engines.providers.tools import Tool, ToolUse, read_tools
from zoran_ray.errors import InvalidRequest

EMPTY = {"type": "object", "properties": {}}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"name": "weather", "description": "Tells it.", "parameters": SCHEMA, "strict": True}
GIVEN = [{"type": "function", "function": WEATHER}, {"type": "function", "function": {"name": "now"}}]
READ = (Tool("weather", "Tells it.", SCHEMA, True), Tool("now", "", EMPTY, False))
NAMED = {"type": "function", "function": {"name": "now"}}


def read(**document: Any) -> ToolUse:
    parameters = Parameters(document, "Someone")
    use = read_tools(parameters)
    parameters.refuse_rest()
    return use


@pytest.mark.parametrize(
    ("document", "use"),
    [
        ({}, ToolUse()),
        ({"tools": [], "tool_choice": "none"}, ToolUse(mode="none")),
        ({"tools": GIVEN}, ToolUse(READ)),
        ({"tools": GIVEN, "tool_choice": "auto", "parallel_tool_calls": True}, ToolUse(READ)),
        ({"tools": GIVEN, "tool_choice": "none"}, ToolUse(READ, "none")),
        ({"tools": GIVEN, "tool_choice": "required"}, ToolUse(READ, "required")),
        ({"tools": GIVEN, "tool_choice": NAMED}, ToolUse(READ, "required", "now")),
        ({"tools": GIVEN, "parallel_tool_calls": False}, ToolUse(READ, parallel=False)),
    ],
)
def test_what_may_and_must_be_called(document: dict[str, Any], use: ToolUse) -> None:
    assert read(**document) == use


@pytest.mark.parametrize(
    ("document", "param"),
    [
        ({"tools": "all"}, "tools"),
        ({"tools": [5]}, "tools[0]"),
        ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "tools[0]"),
        ({"tools": [{"type": "web_search", "function": {"name": "c"}}]}, "tools[0]"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": [1]}}]},
            "tools[0].function.parameters",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "description": 5}}]},
            "tools[0].function.description",
        ),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": NAMED}, "tool_choice"),
        ({"tools": GIVEN, "tool_choice": "sometimes"}, "tool_choice"),
        ({"tools": GIVEN, "tool_choice": {"type": "allowed_tools", "allowed_tools": {}}}, "tool_choice"),
        (
            {"tools": GIVEN, "tool_choice": {"type": "function", "function": {"name": "gone"}}},
            "tool_choice",
        ),
        ({"tools": GIVEN, "parallel_tool_calls": "no"}, "parallel_tool_calls"),
    ],
)
def test_what_is_no_tool_is_refused_by_name(document: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        read(**document)
    assert raised.value.param == param
