"""`zoran models`: asked of a running server in both ways, of none, and of the providers themselves."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.client.chat_server import error_reply, json_reply
from zoran_ray.control import ControlServer, Progress

CANARY = "sk-c4narY0123456789"
POCKET = {
    "name": "local/pocket",
    "source": "embedded",
    "provider": "zoran",
    "state": "ready",
    "replicas": 2,
    "usd_per_million_input": 0.0,
    "data_goes": "local",
}
MINI = {
    "name": "openai/mini",
    "provider": "openai",
    "state": "unreachable",
    "why": "The environment variable OPENAI_API_KEY is not set.",
    "usd_per_million_input": 0.15,
    "usd_per_million_output": 0.6,
    "usd_per_million_cached_input": 0.075,
    "context_tokens": 128000,
    "modalities": ["text", "image"],
    "capabilities": ["tools"],
    "data_goes": "us",
}


def arm(name: str, url: str, **more: Any) -> dict[str, Any]:
    fields = {"provider": "openai_compatible", "upstream": "m", "base_url": f"{url}/v1", "data_goes": "eu"}
    prices = {"usd_per_million_input": 1, "usd_per_million_output": 2}
    return {"name": name, "context_tokens": 9, **fields, **prices, **more}


@pytest.fixture
def file(tmp_path: Path, state_dir: Path) -> Callable[..., str]:
    """Writes a models file of these arms and gives its name."""

    def write(*arms: dict[str, Any], models: Any = ({"name": "pocket"},)) -> str:
        (tmp_path / "m.yaml").write_text(json.dumps({"models": list(models), "arms": list(arms)}))
        return "m.yaml"

    return write


@pytest.fixture
def told(state_dir: Path) -> Iterator[dict[str, Any]]:
    """What a control server in this process answers when it is asked for models."""
    answer: dict[str, Any] = {"models": [POCKET], "arms": [MINI], "models_file": None}

    async def models(args: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        return answer

    loop = asyncio.new_event_loop()
    server = ControlServer(state_dir, {"models": models})
    loop.run_until_complete(server.start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield answer
    asyncio.run_coroutine_threadsafe(server.close(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_local_and_remote_models_of_a_running_server(zoran: Any, told: dict[str, Any]) -> None:
    pocket, mini = json.loads(zoran("models", "--json").stdout)["models"]
    assert (pocket["state"], pocket["replicas"]) == ("ready", 2)
    assert "accuracy" in pocket["description"]
    assert mini == MINI | {"description": ""}
    _, first, second = zoran("models", "list").stdout.splitlines()
    assert "ready ×2" in first
    for piece in (
        "openai/mini",
        "unreachable",
        "0.15",
        "0.6",
        "0.075",
        "128,000",
        "us",
        "text image tools",
    ):
        assert piece in second
    assert "OPENAI_API_KEY is not set" in second


def test_a_refused_edit_is_told(zoran: Any, told: dict[str, Any]) -> None:
    told["models_file"] = {"path": "/m.yaml", "version": 3, "rejected": 1, "error": None}
    assert zoran("models").stderr == ""
    told["models_file"]["error"] = "m.yaml:4: arms[0].usd_per_million_input: found -1"
    result = zoran("models", "--json")
    assert "m.yaml:4" in result.stderr
    assert json.loads(result.stdout)["models_file"] == told["models_file"]


def test_over_http(zoran: Any, chat_server: Any) -> None:
    own = {"state": "ready", "provider": "openai", "usd_per_million_input": 0.15, "description": "Quick"}
    rows = [{"id": "openai/mini", "owned_by": "openai", "zoran": own}, {"id": "gpt-x", "owned_by": "them"}]
    chat_server.replies.append(json_reply({"object": "list", "data": rows}))
    result = zoran("models", "--base-url", chat_server.url, "--api-key", "k", "--json")
    first, second = json.loads(result.stdout)["models"]
    assert first == {"name": "openai/mini", **own}
    assert (second["name"], second["provider"], second["state"]) == ("gpt-x", "them", "")
    path, headers, _ = chat_server.requests[-1]
    assert (path, headers["authorization"]) == ("/v1/models", "Bearer k")
    chat_server.replies.append(json_reply({"data": 5}))
    assert "speak the OpenAI protocol" in zoran("models", "--base-url", chat_server.url).stderr


def test_of_no_running_server(zoran: Any, file: Any, tmp_path: Path) -> None:
    models = [{"name": "a", "source": "o/r", "description": "mine"}, {"name": "pocket"}]
    file(arm("x/y", "http://127.0.0.1:9"), models=models)
    (tmp_path / "zoran.yaml").write_text("models_file: m.yaml\n")
    first, second, third = json.loads(zoran("models", "list", "--json").stdout)["models"]
    assert (first["name"], first["source"], first["state"]) == ("local/a", "o/r", "not running")
    assert "zoran serve --model" in second["description"]
    assert (third["name"], third["state"], third["usd_per_million_output"]) == ("x/y", "not running", 2)


def test_providers_are_asked_from_here(zoran: Any, file: Any, chat_server: Any) -> None:
    name = file(
        arm("x/good", chat_server.url),
        arm("x/keyless", chat_server.url, api_key_env="TEAM_KEY"),
        arm("x/gone", "http://127.0.0.1:9"),
        arm("vllm/pocket", chat_server.url, provider="vllm", upstream="local/pocket"),
        arm("vllm/other", chat_server.url, provider="vllm", upstream="other"),
    )
    result = zoran("models", "--direct", "--models-file", name, "--json")
    pocket, *arms = json.loads(result.stdout)["models"]
    assert (pocket["name"], pocket["state"]) == ("local/pocket", "needs `zoran serve`")
    assert {row["name"]: row["state"] for row in arms} == {
        "x/good": "reachable",
        "x/keyless": "unreachable",
        "x/gone": "unreachable",
        "vllm/pocket": "reachable",
        "vllm/other": "unreachable",
    }
    why = {row["name"]: row["why"] for row in arms}
    assert why["x/good"] == ""
    assert "TEAM_KEY is not set" in why["x/keyless"]
    assert "other" in why["vllm/other"]
    assert why["x/gone"]


def test_a_refused_key_is_told_and_not_shown(zoran: Any, file: Any, chat_server: Any) -> None:
    chat_server.replies.append(error_reply(401, "invalid_api_key", f"Incorrect key {CANARY}"))
    name = file(arm("x/y", chat_server.url, api_key_env="TEAM_KEY"))
    result = zoran("models", "--direct", "--models-file", name, env={"TEAM_KEY": CANARY})
    assert chat_server.requests[-1][1]["authorization"] == f"Bearer {CANARY}"
    assert "unreachable" in result.stdout
    assert CANARY not in result.output


def test_a_models_file_is_for_direct_only(zoran: Any, file: Any) -> None:
    name = file(arm("x/y", "http://127.0.0.1:9"))
    result = zoran("models", "--models-file", name)
    assert result.exit_code == 2
    assert "--direct" in result.stderr
    assert zoran("models", "--direct", "--models-file", "missing.yaml").exit_code == 3
