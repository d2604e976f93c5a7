import json
from pathlib import Path
from typing import Any

import yaml

from zoran_ray.settings import Settings


def test_what_is_shown_can_be_read_again(zoran: Any, tmp_path: Path, state_dir: Path) -> None:
    shown = zoran("config", "show")
    assert shown.exit_code == 0
    data = yaml.safe_load(shown.stdout)
    assert data == Settings(state_dir=state_dir).model_dump(mode="json")
    (tmp_path / "again.yaml").write_text(shown.stdout)
    assert zoran("config", "check", "--config", "again.yaml").exit_code == 0


def test_origins(zoran: Any, tmp_path: Path) -> None:
    (tmp_path / "zoran.yaml").write_text("server:\n  port: 9000\n")
    shown = json.loads(zoran("config", "show", "--origin", "--json").stdout)
    assert shown["settings"]["server"]["port"] == 9000
    assert shown["origins"]["server.port"] == f"{tmp_path}/zoran.yaml:2"
    assert shown["origins"]["state_dir"] == "variable ZORAN_STATE_DIR"
    table = zoran("config", "show", "--origin").stdout
    assert f"{tmp_path}/zoran.yaml:2" in table


def test_tokens_of_engines_are_not_shown(zoran: Any, tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text("models:\n- {name: a, source: o/r, env: {HF_TOKEN: hf_secret}}\n")
    (tmp_path / "zoran.yaml").write_text("models_file: models.yaml\n")
    for args in (["show"], ["show", "--json"], ["show", "--origin"], ["check"]):
        result = zoran("config", *args)
        assert result.exit_code == 0
        assert "hf_secret" not in result.output
    assert "HF_TOKEN" in zoran("config", "show").stdout


def test_arms_are_shown_too(zoran: Any, tmp_path: Path) -> None:
    arm = "{name: ollama/x, provider: ollama, upstream: x, context_tokens: 9, data_goes: local}"
    (tmp_path / "models.yaml").write_text(f"use: research\narms: [{arm}]\n")
    (tmp_path / "zoran.yaml").write_text("models_file: models.yaml\n")
    assert "Models: ollama/x." in zoran("config", "check").stdout
    shown = json.loads(zoran("config", "show", "--json").stdout)
    assert (shown["use"], shown["models"], shown["arms"][0]["name"]) == ("research", [], "ollama/x")


def test_checking(zoran: Any, tmp_path: Path) -> None:
    assert "local/pocket" in zoran("config", "check").stdout
    assert json.loads(zoran("config", "check", "--json").stdout) == {"ok": True, "models": ["local/pocket"]}
    (tmp_path / "zoran.yaml").write_text("server:\n  prot: 1\n")
    wrong = zoran("config", "check")
    assert wrong.exit_code == 3
    assert f"{tmp_path}/zoran.yaml:2: server.prot: no such field; did you mean 'port'?" in wrong.stderr


def test_paths(zoran: Any, tmp_path: Path) -> None:
    (tmp_path / "zoran.yaml").touch()
    user = tmp_path / "home/.config/zoran/config.yaml"
    assert zoran("config", "path").stdout == f"{tmp_path}/zoran.yaml\n{user} (not there)\n"
    assert json.loads(zoran("config", "path", "--json").stdout)["files"][0]["exists"] is True
