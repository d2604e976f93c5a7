"""`zoran chat --direct`: a provider's model without a server."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.client.chat_server import delta, error_reply, stream_reply

CANARY = "sk-c4narY0123456789"


@pytest.fixture
def ask(zoran: Any, tmp_path: Path, chat_server: Any) -> Callable[..., Any]:
    """Asks arms at the loopback server: `openai/gpt-4o` with a key, `ollama/llama3` without."""
    gpt = {
        "name": "openai/gpt-4o",
        "provider": "openai",
        "upstream": "gpt-4o-2024",
        "base_url": f"{chat_server.url}/v1",
        "api_key_env": "OPENAI_API_KEY",
        "context_tokens": 1000,
        "usd_per_million_input": 1,
        "usd_per_million_output": 2,
        "data_goes": "us",
        "timeout_s": 20,
    }
    llama = {"name": "ollama/llama3", "provider": "ollama", "upstream": "llama3.2", "data_goes": "local"}
    llama |= {"base_url": chat_server.url, "context_tokens": 1000}
    file = {"models": [{"name": "pocket"}], "arms": [gpt, llama]}
    (tmp_path / "m.yaml").write_text(json.dumps(file))

    def run(*args: str, question: str = "17+25?", key: str | None = CANARY) -> Any:
        env = {"OPENAI_API_KEY": key} if key else {}
        return zoran("chat", "--direct", "--models-file", "m.yaml", "-q", question, *args, env=env)

    return run


def test_one_question(ask: Any, chat_server: Any) -> None:
    result = ask("-m", "openai/gpt-4o", "--system", "Be brief.")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "42\n", "")
    path, headers, body = chat_server.requests[-1]
    assert (path, headers["authorization"]) == ("/v1/chat/completions", f"Bearer {CANARY}")
    assert (body["model"], body["stream"]) == ("gpt-4o-2024", True)
    assert [turn["role"] for turn in body["messages"]] == ["system", "user"]


def test_an_arm_without_a_key(ask: Any, chat_server: Any) -> None:
    assert ask("-m", "ollama/llama3").stdout == "42\n"
    _, headers, body = chat_server.requests[-1]
    assert body["model"] == "llama3.2"
    assert CANARY not in str(headers)


def test_the_first_arm_by_default_and_json(ask: Any) -> None:
    told = json.loads(ask("--json").stdout)
    assert (told["text"], told["usage"]) == ("42", {"prompt_tokens": 7, "completion_tokens": 2})


@pytest.mark.parametrize("name", ["local/pocket", "pocket", "local/other"])
def test_a_model_of_this_machine_needs_a_server(ask: Any, chat_server: Any, name: str) -> None:
    result = ask("-m", name)
    assert result.exit_code == 1
    assert "`zoran serve`" in result.stderr
    assert chat_server.requests == []


def test_what_cannot_be_asked(ask: Any, zoran: Any, chat_server: Any) -> None:
    unknown = ask("-m", "openai/gpt-9")
    assert unknown.exit_code == 1
    assert "Models here: local/pocket, ollama/llama3, openai/gpt-4o" in unknown.stderr
    keyless = ask("-m", "openai/gpt-4o", key=None)
    assert keyless.exit_code == 3
    assert "OPENAI_API_KEY is not set" in keyless.stderr
    assert zoran("chat", "-q", "x", "--models-file", "m.yaml").exit_code == 2
    bare = zoran("chat", "--direct", "-q", "x")
    assert bare.exit_code == 3
    assert "--models-file" in bare.stderr
    assert chat_server.requests == []


def test_a_provider_that_refuses(ask: Any, chat_server: Any) -> None:
    chat_server.replies.append(error_reply(401, "invalid_api_key", f"Incorrect API key {CANARY}"))
    result = ask("-m", "openai/gpt-4o")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert CANARY not in result.output


def test_an_answer_that_breaks_off(ask: Any, chat_server: Any) -> None:
    chat_server.replies.append(stream_reply(delta(content="4")))
    result = ask("-m", "openai/gpt-4o")
    assert (result.exit_code, result.stdout) == (1, "4\n")


def test_a_silence_in_the_middle_ends(ask: Any, chat_server: Any) -> None:
    release = threading.Event()
    chat_server.replies.append(stream_reply(delta(content="half"), hold=release))
    result = ask("-m", "openai/gpt-4o", "--timeout", "1")
    release.set()
    assert (result.exit_code, result.stdout) == (1, "half\n")
