"""Reads the tools of an OpenAI chat body: what may be called, what must be. Knows no provider."""

from dataclasses import dataclass
from typing import Any, Literal

from zoran_ray.engines.providers.parameters import Parameters, wrong
from zoran_ray.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Tool:
    """One function a model may call.

    Attributes:
        parameters: JSON schema of its arguments, always that of an object.
        strict: The arguments must match the schema.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    strict: bool


@dataclass(frozen=True, slots=True)
class ToolUse:
    """What may, must or must not be called.

    Attributes:
        mode: `required` means at least one call.
        named: The one tool that must be called; `mode` is then `required`.
        parallel: One answer may hold several calls.
    """

    tools: tuple[Tool, ...] = ()
    mode: Literal["auto", "none", "required"] = "auto"
    named: str | None = None
    parallel: bool = True


def read_tools(parameters: Parameters) -> ToolUse:
    """Take `tools`, `tool_choice` and `parallel_tool_calls`.

    Raises:
        InvalidRequest: They are not what OpenAI describes, or a tool is not a function.
    """
    given = parameters.take("tools") or []
    if type(given) is not list:
        raise wrong("tools", "an array")
    tools = tuple(_tool(each, f"tools[{i}]") for i, each in enumerate(given))
    choice = parameters.take("tool_choice")
    parallel = parameters.flag("parallel_tool_calls") is not False
    if choice is None or choice == "auto":
        return ToolUse(tools, parallel=parallel)
    if choice == "none":
        return ToolUse(tools, "none", parallel=parallel)
    if not tools:
        raise InvalidRequest("'tool_choice' needs 'tools' to choose from.", param="tool_choice")
    named = None if choice == "required" else _named(choice, tools)
    return ToolUse(tools, "required", named, parallel)


def _tool(given: Any, where: str) -> Tool:
    function = given.get("function") if type(given) is dict else None
    if type(function) is not dict or given.get("type", "function") != "function":
        raise wrong(where, "a tool of type 'function'; others are not known here")
    name, parameters = function.get("name"), function.get("parameters") or {}
    if type(name) is not str or not name:
        raise wrong(f"{where}.function.name", "a string")
    if type(parameters) is not dict:
        raise wrong(f"{where}.function.parameters", "an object")
    description = function.get("description") or ""
    if type(description) is not str:
        raise wrong(f"{where}.function.description", "a string")
    schema = {"type": "object", "properties": {}, **parameters}
    return Tool(name, description, schema, function.get("strict") is True)


def _named(choice: Any, tools: tuple[Tool, ...]) -> str:
    function = choice.get("function") if type(choice) is dict else None
    name = function.get("name") if type(function) is dict else None
    if type(name) is not str or choice.get("type") != "function":
        raise wrong("tool_choice", "auto, none, required or the name of a function")
    if all(name != tool.name for tool in tools):
        raise InvalidRequest(
            "'tool_choice' names a function that 'tools' does not have.", param="tool_choice"
        )
    return name
