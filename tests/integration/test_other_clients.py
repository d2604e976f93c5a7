"""Clients whose pins conflict with ours, each run as a script in an environment of its own."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.integration.stack import Stack

pytestmark = [pytest.mark.integration, pytest.mark.engine]

ROOT = Path(__file__).parents[2]
CLIENTS = ROOT / "tests" / "clients"


def set_up(which: str) -> None:
    done = subprocess.run(
        [ROOT / "scripts" / "setup-clients.sh", which], capture_output=True, text=True, timeout=280
    )
    if done.returncode == 3:
        pytest.skip(f"NOT TESTED: {done.stderr.strip()[-500:]}")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def programs() -> Path:
    """Where the Python clients' programs are."""
    set_up("python")
    return ROOT / ".venv-clients" / "bin"


@pytest.fixture(scope="module")
def node() -> str:
    set_up("node")
    return "node"


def run(stack: Stack, *command: str | Path, **settings: str) -> str:
    environment = stack.environment | {"LITELLM_LOCAL_MODEL_COST_MAP": "True"} | settings
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=240, env=environment, cwd=stack.folder
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def result(stack: Stack, *command: str | Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(run(stack, *command, f"{stack.base_url}/v1").splitlines()[-1])
    return told


def test_langchain(stack: Stack, programs: Path) -> None:
    assert result(stack, programs / "python", CLIENTS / "langchain_client.py") == {
        "text": "42",
        "usage": True,
        "finish": "stop",
        "stream": "42",
        "batch": ["42", "42"],
        "error": "model_not_found",
    }


def test_litellm(stack: Stack, programs: Path) -> None:
    assert result(stack, programs / "python", CLIENTS / "litellm_client.py") == {
        "text": "42",
        "usage": True,
        "finish": "stop",
        "stream": "42",
        "error": "404",
    }


def test_llm(stack: Stack, programs: Path) -> None:
    folder = stack.folder / "llm"
    folder.mkdir(exist_ok=True)
    model = {"model_id": "pocket", "model_name": "local/pocket", "api_base": f"{stack.base_url}/v1"}
    # JSON is YAML.
    (folder / "extra-openai-models.yaml").write_text(json.dumps([model]))
    for stream in ((), ("--no-stream",)):
        answer = run(
            stack,
            *(programs / "llm", "-m", "pocket", "-o", "max_tokens", "20", *stream, "What is 17+25?"),
            LLM_USER_PATH=str(folder),
            OPENAI_API_KEY="none",
        )
        assert answer.strip() == "42"


def test_node_openai(stack: Stack, node: str) -> None:
    told = result(stack, node, CLIENTS / "openai.mjs")
    assert "local/pocket" in told.pop("models")
    assert told == {
        "text": "42",
        "finish": "stop",
        "usage": True,
        "stream": "42",
        "helper": "42",
        "response": "42",
        "first": "response.created",
        "last": "response.completed",
        "unknown": {"name": "NotFoundError", "status": 404, "code": "model_not_found", "param": "model"},
        "bad": {"name": "BadRequestError", "status": 400, "code": "invalid_value", "param": "temperature"},
    }


def test_vercel_ai(stack: Stack, node: str) -> None:
    told = result(stack, node, CLIENTS / "ai.mjs")
    assert told.pop("object")["colour"] in ("red", "blue")
    failed = told.pop("failed")
    assert (failed["known"], failed["status"], failed["retryable"]) == (True, 404, False)
    assert "gpt-9" in failed["message"], "our own message reaches the caller"
    assert told == {
        "text": "42",
        "finish": "stop",
        "usage": True,
        "stream": "42",
        "streamUsage": True,
        "chat": "42",
        "responses": "42",
        "responsesStream": "42",
    }
