"""Code that answers hold, run by the shared server in the real sandbox: the tool `code` and unit tests."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from tests.integration.sandbox_place import nothing_left, require_docker
from tests.integration.stack import Stack, until
from zoran_ray.sandbox.labels import deployment_of

pytestmark = [pytest.mark.integration, pytest.mark.engine, pytest.mark.docker]

ARM = "acme/coder"
PROGRAM = (
    "import os, socket\nprint(6 * 7, os.getuid())\n"
    "try: socket.create_connection(('192.0.2.1', 80), 2)\nexcept OSError: print('no network')\n"
)
SOLUTION = "```python\ndef add(a, b):\n    return a + b\n```"
TESTS = (
    "import unittest\nfrom solution import add\n\nclass Test(unittest.TestCase):\n"
    "    def test_it(self):\n        self.assertEqual(add(2, 3), {sum})\n"
)


class Coder(BaseHTTPRequestHandler):
    """A model with OpenAI's protocol. Offered tools, it runs a program and tells what that printed; else it
    answers with code."""

    def do_POST(self) -> None:
        """One chat completion."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        shown = [each["content"] for each in body["messages"] if each["role"] == "tool"]
        message: dict[str, Any] = {"role": "assistant", "content": f"Answer: {SOLUTION}"}
        if shown:
            message["content"] = shown[-1]
        elif "tools" in body:
            called = {"name": "code", "arguments": json.dumps({"code": PROGRAM})}
            call = {"id": "c1", "type": "function", "function": called}
            message |= {"content": None, "tool_calls": [call]}
        self._tell(body["model"], message)

    def _tell(self, model: str, message: dict[str, Any]) -> None:
        reason = "tool_calls" if message.get("tool_calls") else "stop"
        usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
        choice = {"index": 0, "message": message, "finish_reason": reason}
        head = {"id": "c", "object": "chat.completion", "created": 1, "model": model}
        data = json.dumps({**head, "choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def coder(stack: Stack, base_url: str) -> Iterator[str]:
    """The model as an arm of the running server, which has an image of its own for programs."""
    require_docker()
    built = stack.zoran("sandbox", "build", "--json")
    assert built.returncode == 0, built.stderr
    server = ThreadingHTTPServer(("127.0.0.1", 0), Coder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    file = stack.folder / "models.yaml"
    before = file.read_text()
    arm = {
        "name": ARM,
        "provider": "openai_compatible",
        "base_url": f"http://127.0.0.1:{server.server_port}/v1",
        "upstream": "coder",
        "capabilities": ["tools"],
        "context_tokens": 8192,
        "max_output_tokens": 256,
        "usd_per_million_input": 0,
        "usd_per_million_output": 0,
        "data_goes": "local",
    }

    def known() -> bool:
        return ARM in {row["id"] for row in httpx.get(f"{base_url}/models", timeout=30).json()["data"]}

    try:
        file.write_text(json.dumps(json.loads(before) | {"arms": [arm]}))
        until("the server knows the arm", known)
        with nothing_left(deployment_of(stack.state_dir)):
            yield ARM
    finally:
        file.write_text(before)
        until("the arm is gone", lambda: not known())
        server.shutdown()
        server.server_close()


def ask(base_url: str, asked: str, /, **zoran: Any) -> dict[str, Any]:
    body = {"model": asked, "messages": [{"role": "user", "content": "Write it."}], "zoran": zoran}
    got = httpx.post(f"{base_url}/chat/completions", json=body, timeout=180)
    assert got.status_code == 200, got.text
    answer: dict[str, Any] = got.json()
    return answer


def test_a_model_runs_a_program_in_the_sandbox(base_url: str, coder: str) -> None:
    answer = ask(base_url, f"zoran/react:{coder}", tools={"allowed": ["code"]})
    assert answer["zoran"]["detail"] == {"turns": 2, "tool_calls": 1, "tool_errors": 0}
    assert "42 65534\nno network" in answer["choices"][0]["message"]["content"]


def test_the_coder_runs_its_program_in_the_sandbox(base_url: str, coder: str) -> None:
    answer = ask(base_url, "zoran/agents:coder", model=coder)
    assert answer["zoran"]["detail"]["ran"] is True
    assert "42 65534\nno network" in answer["choices"][0]["message"]["content"]


@pytest.mark.parametrize(("total", "passes"), [(5, True), (6, False)])
def test_unit_tests_judge_code_in_the_sandbox(base_url: str, coder: str, total: int, passes: bool) -> None:
    tests = TESTS.replace("{sum}", str(total))
    answer = ask(base_url, f"zoran/cot:{coder}", verifier={"kind": "unit-tests", "tests": tests})
    assert answer["zoran"]["verified"] is passes
    trace = httpx.get(f"{base_url}/traces/{answer['zoran']['trace_id']}", timeout=30).json()
    assert trace["steps"][-1]["kind"] == "verdict"
