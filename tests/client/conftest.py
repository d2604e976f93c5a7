import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def _load() -> ModuleType:
    path = Path(__file__).parents[1] / "client" / "chat_server.py"
    spec = importlib.util.spec_from_file_location("chat_server", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["chat_server"] = module
    spec.loader.exec_module(module)
    return module


chat_server_module = sys.modules.get("chat_server") or _load()


@pytest.fixture
def chat_server() -> Iterator[Any]:
    """A loopback server that speaks the OpenAI protocol."""
    server = chat_server_module.ChatServer()
    yield server
    server.close()
