import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.client.chat_server import ChatServer
from zoran_ray.cli.app import app


@pytest.fixture
def chat_server() -> Iterator[ChatServer]:
    """A loopback server that speaks the OpenAI protocol."""
    server = ChatServer()
    yield server
    server.close()


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory of its own, and nothing of this machine's configuration."""
    for name in list(os.environ):
        if name.startswith(("ZORAN_", "XDG_", "OTEL_", "OPENAI_", "RAY_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("ZORAN_STATE_DIR", str(folder))
    return folder


@pytest.fixture
def zoran(state_dir: Path) -> Callable[..., Result]:
    """Runs the command line in this process."""

    def run(*args: str, input: str | None = None, env: dict[str, str] | None = None) -> Result:
        return CliRunner().invoke(app, list(args), input=input, env=env, prog_name="zoran")

    return run
