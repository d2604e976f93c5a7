"""`zoran serve` up to the runtime, which is played by a module of the same face."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from zoran_ray.config import Loaded


@dataclass
class Ready:
    url: str = "http://127.0.0.1:9000"
    models: tuple[str, ...] = ("local/pocket",)
    needs_key: bool = False


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Loaded]:
    """What the runtime was asked to serve; it is ready at once and then stops."""
    seen: list[Loaded] = []

    def serve(loaded: Loaded, on_progress: Any, on_ready: Any) -> None:
        seen.append(loaded)
        on_progress("loading", "local/pocket")
        on_ready(Ready(needs_key=loaded.settings.server.host != "127.0.0.1"))

    module = ModuleType("zoran_ray.runtime")
    module.serve = serve  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "zoran_ray.runtime", module)
    return seen


def test_flags_reach_the_runtime(zoran: Any, served: list[Loaded], tmp_path: Path) -> None:
    result = zoran(
        "serve", "--host", "0.0.0.0", "--port", "9000", "--gateways", "3",
        "--model", "a/b", "--model", "pocket", "--engine-arg", "x=1",
        "--log-format", "json", "--state-dir", str(tmp_path / "s"),
    )  # fmt: skip
    assert result.exit_code == 0
    (loaded,) = served
    server = loaded.settings.server
    assert (server.host, server.port, server.gateways) == ("0.0.0.0", 9000, 3)
    assert (loaded.settings.log.format, loaded.settings.state_dir) == ("json", tmp_path / "s")
    assert [(m.name, m.engine_args) for m in loaded.models] == [("a/b", {"x": 1}), ("pocket", {"x": 1})]
    assert "Bearer $ZORAN_API_KEY" in result.stdout
    assert f"zoran stop --state-dir {tmp_path}/s" in result.stdout


def test_what_is_printed_works_when_pasted(zoran: Any, served: list[Loaded]) -> None:
    out = zoran("serve").stdout
    assert "Ready at http://127.0.0.1:9000 with local/pocket" in out
    body = json.loads(out.split("-d '")[1].split("'")[0])
    assert body["model"] == "local/pocket"
    assert 'OpenAI(base_url="http://127.0.0.1:9000/v1", api_key="none")' in out
    assert "Bearer" not in out


def test_json(zoran: Any, served: list[Loaded]) -> None:
    result = zoran("serve", "--json")
    assert json.loads(result.stdout) == {
        "url": "http://127.0.0.1:9000",
        "models": ["local/pocket"],
        "needs_key": False,
    }
    assert result.stderr == ""


def test_mistakes_end_before_anything_starts(zoran: Any, served: list[Loaded]) -> None:
    assert zoran("serve", "--port", "0").exit_code == 2
    assert zoran("serve", "--log-format", "xml").exit_code == 3
    assert zoran("serve", "--engine-arg", "nonsense").exit_code == 3
    assert zoran("serve", "--models-file", "missing.yaml").exit_code == 3
    assert served == []
