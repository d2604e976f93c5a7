"""Tools of installed packages: shown without being run, off until allowed, held to what they said."""

import sys
import types
from importlib.metadata import EntryPoint

import pytest

from zoran_ray.errors import ConfigError
from zoran_ray.settings import McpServerSettings, ToolSettings
from zoran_ray.tools.calculator import Calculator
from zoran_ray.tools.installed import GROUP, Installed, allowed_tools, installed
from zoran_ray.tools.offered import offered, transport


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, GROUP)


class Weather(Calculator):
    name = "weather"
    permission = "network"


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> str:
    module = types.ModuleType("weather_package")
    module.Weather = Weather  # type: ignore[attr-defined]
    module.Liar = Calculator  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "weather_package", module)
    return "weather_package"


def of(settings: ToolSettings, *points: EntryPoint) -> dict[str, Installed]:
    return {each.name: each for each in installed(settings, points)}


def test_they_are_shown_without_being_imported() -> None:
    found = of(
        ToolSettings(),
        point("far", "no_such_package:Tool [code]"),
        point("mute", "x:Y"),
        point("odd", "x:Y [all]"),
    )
    assert {name: each.permission for name, each in found.items()} == {
        "calculator": "local", "fetch": "network", "memory": "memory", "code": "code",
        "search_files": "local",
        "far": "code", "mute": "", "odd": "",
    }  # fmt: skip
    assert [tool.name for tool in allowed_tools(ToolSettings(), found.values())] == ["calculator"]


def test_nobody_replaces_ours() -> None:
    found = of(ToolSettings(), point("calculator", "evil:Tool [code]"))
    assert found["calculator"].origin == "zoran_ray"


def test_both_the_name_and_what_it_reaches_must_be_allowed(package: str) -> None:
    entry = point("weather", f"{package}:Weather [network]")
    for allowed, permissions, expected in (
        (("weather",), ("local", "network"), ["weather"]),
        (("weather",), ("local",), []),
        ((), ("network",), []),
        (("fetch", "weather"), ("network",), ["fetch", "weather"]),
    ):
        settings = ToolSettings(allowed=allowed, permissions=permissions)  # type: ignore[arg-type]
        tools = allowed_tools(settings, of(settings, entry).values())
        assert [tool.name for tool in tools] == expected


@pytest.mark.parametrize(
    "value", ["no_such_package:Tool [network]", "sys:path [network]", "weather_package:Liar [network]"]
)
def test_one_that_cannot_be_made_or_lied(package: str, value: str) -> None:
    settings = ToolSettings(allowed=("weather",), permissions=("network",))
    with pytest.raises(ConfigError, match="weather"):
        allowed_tools(settings, of(settings, point("weather", value)).values())


async def test_the_toolbox_of_the_settings() -> None:
    settings = ToolSettings(allowed=("calculator", "fetch"), permissions=("local", "network"))
    async with offered(settings, {}) as box:
        assert [each.name for each in box.offers] == ["calculator", "fetch"]
    with pytest.raises(ConfigError):
        async with offered(settings.model_copy(update={"fetch_addresses": ("x",)}), {}):
            pass
    # A server of which nothing is allowed is not even started.
    idle = {"x": McpServerSettings(command=("/does/not/exist",))}
    async with offered(ToolSettings(mcp=idle), {}) as box:
        assert [each.name for each in box.offers] == ["calculator"]
    # Nor is one whose tools nobody may use.
    both = ToolSettings(allowed=("calculator", "x_do"), permissions=("local", "code"), mcp=idle)
    async with offered(both, {}, may=lambda name, permission: name != "x_do") as box:
        assert [each.name for each in box.offers] == ["calculator"]


def test_servers_of_the_settings() -> None:
    with pytest.raises(ConfigError, match="TOKEN"):
        transport(McpServerSettings(url="https://mcp.test/mcp", token_variable="TOKEN"), {})
    assert transport(McpServerSettings(command=("x",), variables=("A",)), {"A": "1"})
    for wrong in ({}, {"command": ("x",), "url": "http://x.test"}):
        with pytest.raises(ValueError, match="either"):
            McpServerSettings(**wrong)  # type: ignore[arg-type]
