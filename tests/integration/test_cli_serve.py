"""`zoran serve` from its first line to its last, and everything that is wrong with its arguments."""

import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.conftest import POCKET
from tests.integration.stack import Stack, until

pytestmark = [pytest.mark.integration, pytest.mark.engine]

FAILURE = 1
CONFIGURATION = 3
REFUSAL_S = 200.0


@pytest.fixture
def idle() -> Iterator[Stack]:
    """A folder, a port and a state directory, with no server."""
    stack = Stack([POCKET])
    yield stack
    stack.kill()
    stack.forget()


def refused(stack: Stack, *flags: str, status: int = CONFIGURATION) -> str:
    """What `zoran serve` said when it refused to start; it must have left nothing."""
    done = stack.zoran("serve", f"--port={stack.port}", *flags, timeout_s=REFUSAL_S)
    assert done.returncode == status, (done.returncode, done.stderr)
    told = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(told) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert not any(stack.left_behind().values()), stack.left_behind()
    return told[0]


def test_unknown_engine_argument(idle: Stack) -> None:
    """vLLM itself checks its arguments, before an engine is started."""
    assert "no_such_flag" in refused(idle, "--model=pocket", "--engine-arg=no_such_flag=1").replace(
        "-", "_"
    )


def test_wrong_value_of_an_engine_argument(idle: Stack) -> None:
    assert "max" in refused(idle, "--model=pocket", "--engine-arg=max_model_len=many")


def test_owned_engine_argument(idle: Stack) -> None:
    assert "engine_args.port" in refused(idle, "--model=pocket", "--engine-arg=port=1")


def test_missing_model(idle: Stack) -> None:
    folder = idle.folder / "nothing"
    assert f"{folder} does not exist" in refused(idle, f"--model={folder}", status=FAILURE)


def test_folder_without_model(idle: Stack) -> None:
    assert "config.json" in refused(idle, f"--model={idle.folder}", status=FAILURE)


def test_port_taken(idle: Stack) -> None:
    with socket.create_server(("127.0.0.1", idle.port)):
        assert str(idle.port) in refused(idle)


def test_world_without_keys(idle: Stack) -> None:
    assert "zoran keys create" in refused(idle, "--host=0.0.0.0")


def test_corrupt_settings(idle: Stack) -> None:
    file = idle.folder / "zoran.yaml"
    file.write_text("server:\n  host: 127.0.0.1\n  prot: 8080\n")
    told = refused(idle)
    assert f"{file}:3" in told
    assert "server.prot" in told


def test_corrupt_models_file(idle: Stack) -> None:
    (idle.folder / "models.yaml").write_text("models:\n  - name: a\n    scaling: {min_replicas: none}\n")
    told = refused(idle)
    assert "models.yaml:3" in told
    assert "min_replicas" in told


def test_readable_keys(idle: Stack) -> None:
    assert idle.zoran("keys", "create", "me").returncode == 0
    file = idle.state_dir / "keys.sqlite"
    file.chmod(0o644)
    assert "chmod 600" in refused(idle)


def test_damaged_keys(idle: Stack) -> None:
    assert idle.zoran("keys", "create", "me").returncode == 0
    file = idle.state_dir / "keys.sqlite"
    file.write_bytes(b"nonsense" * 1000)
    assert "keys.sqlite" in refused(idle)


def test_no_server(idle: Stack) -> None:
    for command in (("stop",), ("status",), ("models", "load", "pocket"), ("chat", "-q", "1+1")):
        assert idle.zoran(*command).returncode == 4, command


def test_broken_weights(idle: Stack) -> None:
    """A model that cannot be loaded: the reason, and nothing left running."""
    folder = broken_model(idle.folder)
    assert "could not be loaded" in refused(idle, f"--model={folder}", status=FAILURE)


def broken_model(folder: Path) -> Path:
    from zoran_ray.pocket import MODEL_DIR

    made = folder / "broken"
    made.mkdir()
    for file in MODEL_DIR.iterdir():
        (made / file.name).write_bytes(file.read_bytes())
    (made / "model.safetensors").write_bytes(b"\0" * 100)
    return made


@pytest.mark.faults
def test_a_whole_life(request: pytest.FixtureRequest) -> None:
    """Start, talk, a second server, keys, models, `zoran stop`."""
    stack = Stack([POCKET])
    request.addfinalizer(stack.kill)
    said = stack.start()
    assert said == {"url": stack.base_url, "models": ["local/pocket"], "needs_key": False}
    for step in (answers_on_the_command_line, lists_models, refuses_a_second_server, closes_with_a_key):
        step(stack)
    done = stack.zoran("stop")
    assert done.returncode == 0, done.stderr
    assert stack.stop() == 0
    assert not any(stack.left_behind().values()), stack.left_behind()
    stack.forget()


def answers_on_the_command_line(stack: Stack) -> None:
    done = stack.zoran("chat", "-q", "What is 17+25?")
    assert (done.returncode, done.stdout) == (0, "42\n"), done.stderr
    told = json.loads(stack.zoran("chat", "-m", "pocket", "--json", "-q", "8-3").stdout)
    assert told["text"] == "5"


def lists_models(stack: Stack) -> None:
    (row,) = json.loads(stack.zoran("models", "--json").stdout)["models"]
    assert (row["name"], row["state"], row["replicas"]) == ("local/pocket", "ready", 1)
    status = json.loads(stack.zoran("status", "--json").stdout)
    assert status["url"] == stack.base_url
    assert any("haproxy" in each["role"] for each in status["processes"])


def refuses_a_second_server(stack: Stack) -> None:
    done = stack.zoran("serve", "--port=1")
    assert done.returncode == CONFIGURATION
    assert "zoran stop" in done.stderr
    assert stack.ready(), "the first one goes on"


def closes_with_a_key(stack: Stack) -> None:
    made = json.loads(stack.zoran("keys", "create", "me", "--requests-per-min=3", "--json").stdout)
    url = f"{stack.base_url}/v1/models"
    until("the door is closed", lambda: httpx.get(url).status_code == 401)
    headers = {"authorization": f"Bearer {made['key']}"}
    assert httpx.get(url, headers=headers).status_code == 200
    body = {"model": "pocket", "messages": [{"role": "user", "content": "1+1"}], "max_tokens": 4}
    answers = [
        httpx.post(f"{stack.base_url}/v1/chat/completions", json=body, headers=headers) for _ in range(5)
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert answers[0].headers["x-ratelimit-limit-requests"] == "3"
    assert int(answers[-1].headers["retry-after"]) > 0
    assert stack.zoran("keys", "revoke", made["key_id"]).returncode == 0
    until("the key is refused", lambda: httpx.get(url, headers=headers).status_code == 401)


@pytest.mark.faults
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("first", ["gcs_server", "ServeController"])
def test_interrupted_while_starting(signum: signal.Signals, first: str) -> None:
    stack = Stack([POCKET])
    try:
        stack.begin()
        stack.process(first)
        status = stack.stop(signum)
        assert status in (0, 130), stack.log()
        assert not any(stack.left_behind().values()), stack.left_behind()
    finally:
        stack.kill()
        stack.forget()


@pytest.mark.faults
def test_killed_and_started_again() -> None:
    """What a server that was killed leaves behind is ended by `zoran stop`."""
    stack = Stack([POCKET])
    try:
        stack.start()
        stack.kill_server_alone()
        done = stack.zoran("stop")
        assert done.returncode == 0, done.stderr
        until("everything has gone", lambda: not stack.left_behind()["processes"], 30)
    finally:
        stack.kill()
        stack.forget()
