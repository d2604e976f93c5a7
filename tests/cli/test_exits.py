import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from zoran_ray.cli.exits import Commands, exit_status
from zoran_ray.errors import AlreadyRunning, ModelLoadError, PermissionDenied, Unreachable, ZoranError


def failing(error: BaseException) -> typer.Typer:
    app = typer.Typer(cls=Commands, pretty_exceptions_enable=False)

    @app.callback()
    def root(debug: bool = False) -> None: ...

    @app.command()
    def run() -> None:
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (AlreadyRunning("why"), 3),
        (Unreachable("why"), 4),
        (PermissionDenied("why"), 5),
        (ModelLoadError("why"), 1),
        (ZoranError("why"), 1),
        (RuntimeError("why"), 1),
        (typer.BadParameter("why"), 2),
        (KeyboardInterrupt(), 130),
        (typer.Exit(7), 7),
    ],
)
def test_every_error_is_one_message_and_one_status(error: BaseException, status: int) -> None:
    result = CliRunner().invoke(failing(error), ["run"])
    assert result.exit_code == status
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert ("why" in result.stderr) == (status not in (130, 7))


def test_debug_shows_where() -> None:
    result = CliRunner().invoke(failing(RuntimeError("why")), ["--debug", "run"])
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert "--debug" in CliRunner().invoke(failing(RuntimeError("why")), ["run"]).stderr


def test_children_share_the_status_of_their_parent() -> None:
    class Child(Unreachable): ...

    assert exit_status(Child("x")) == 4


def run(code: str, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *args],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **env},
    )


def test_the_command_line_imports_nothing_heavy() -> None:
    code = "import sys, json, zoran_ray.cli.app; print(json.dumps(list(sys.modules)))"
    loaded = set(json.loads(run(code).stdout))
    assert not loaded & {
        "ray",
        "vllm",
        "torch",
        "fastapi",
        "numpy",
        "httpx",
        "pydantic",
        "yaml",
        "aiohttp",
        "rich",
    }


def test_chatting_imports_nothing_heavy(chat_server: Any, state_dir: Path) -> None:
    code = (
        "import sys\nfrom zoran_ray.cli.app import app\n"
        "try: app(sys.argv[1:])\nexcept SystemExit: pass\n"
        "assert not {'ray', 'vllm', 'torch', 'fastapi', 'numpy', 'aiohttp'} & set(sys.modules)"
    )
    done = run(code, "chat", "-q", "x", "--base-url", chat_server.url)
    assert (done.returncode, done.stdout, done.stderr) == (0, "42\n", "")


def test_the_entry_point(state_dir: Path) -> None:
    entry = "from zoran_ray.cli import main; main()"
    wrong = run(entry, "keys", "create", "a", ZORAN_SERVER__PORT="x")
    assert wrong.returncode == 3
    assert wrong.stdout == ""
    assert wrong.stderr.startswith("Error: variable ZORAN_SERVER__PORT: server.port")
    assert run(entry, "--help").returncode == 0
    assert run(entry, "nonsense").returncode == 2


def test_version() -> None:
    from zoran_ray import __version__
    from zoran_ray.cli.app import app

    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.output) == (0, f"zoran {__version__}\n")
