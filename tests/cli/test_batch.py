"""`zoran batch run`: a file of requests answered into another one."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rich.console import Console

from zoran_ray.batch.output_file import Counts
from zoran_ray.batch.turn import TURN_HEADER, WAITS
from zoran_ray.cli.batch import bar

ROOT = Path(__file__).parents[2]


class Server:
    """Answers chat requests with their own text; slow, broken or silent where a test says so."""

    def __init__(self):
        self.asked, self.script, self.pause_s = [], {}, 0.0
        self.now = self.most = 0
        self.turns = set()
        self.lock = threading.Lock()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format, *args): ...

            def do_GET(self):
                self.reply(owner.script.get("models", 200), {"object": "list", "data": []}, {})

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                text = body["messages"][0]["content"]
                with owner.lock:
                    owner.asked.append((self.path, text, body["model"], self.headers.get("authorization")))
                    owner.turns.add(self.headers.get(TURN_HEADER))
                    owner.now += 1
                    owner.most = max(owner.most, owner.now)
                    steps = owner.script.get(text)
                    step = steps.pop(0) if steps else 200
                time.sleep(owner.pause_s)
                with owner.lock:
                    owner.now -= 1
                answer = {"choices": [{"message": {"content": text}}], "model": body["model"]}
                answer["usage"] = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
                head = {"x-zoran-cost-usd": "0.000002000", "x-request-id": f"req-{text}"}
                if step == 503:
                    head["retry-after-ms"] = "1"
                if step == 502:
                    head["x-should-retry"] = "false"
                self.reply(step, answer if step == 200 else {"error": {"code": "x", "message": "no"}}, head)

            def reply(self, status, body, head):
                if status == "gone":
                    self.close_connection = True
                    return
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                if status == "nonsense":
                    status, data = 200, b"<html>"
                self.send_response(status)
                for name, value in {"content-length": str(len(data)), **head}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

        class Http(ThreadingHTTPServer):
            request_queue_size = 256
            daemon_threads = True

        self.http = Http(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def close(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server():
    made = Server()
    yield made
    made.close()


def row(custom_id, **fields):
    body = {"model": "m", "messages": [{"role": "user", "content": custom_id}], **fields}
    whole = {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps(whole) + "\n"


def write(*lines):
    Path("in.jsonl").write_text("".join(lines))


def output():
    return [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]


@pytest.fixture
def batch(zoran, server):
    """Runs the command on `in.jsonl`."""

    def run(*args):
        return zoran("batch", "run", "in.jsonl", "-o", "out.jsonl", "--base-url", server.url, *args)

    return run


def test_all_lines_are_answered(batch, server):
    write(*(row(f"c{n}") for n in range(50)))
    server.pause_s = 0.005
    result = batch("--concurrency", "7", "-m", "zoran/tot", "--api-key", "zk-x")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("50 of 50 answered, 0 failed; ")
    assert "0.000100 USD" in result.stdout
    found = {each["custom_id"]: each for each in output()}
    assert len(found) == 50
    for name, each in found.items():
        response = each["response"]
        assert (response["status_code"], response["request_id"]) == (200, f"req-{name}")
        assert response["body"]["choices"][0]["message"]["content"] == name
    assert {(path, model, key) for path, _, model, key in server.asked} == {
        ("/v1/chat/completions", "zoran/tot", "Bearer zk-x")
    }
    assert 1 < server.most <= 7
    assert server.turns == {WAITS}


def test_faulty_lines_are_told_and_the_others_run(batch):
    write(row("a"), "{\n", row("b"), row("a"), "[]\n")
    result = batch("--json")
    assert result.exit_code == 1
    told = [line[:7] for line in result.stderr.splitlines()]
    assert told == ["Line 2 ", "Line 4:", "Line 5 "]
    counts = json.loads(result.stdout)
    assert (counts["lines"], counts["completed"], counts["failed"], counts["faulty"]) == (5, 2, 3, 3)
    assert (counts["prompt_tokens"], counts["completion_tokens"], counts["cost_usd"]) == (6, 4, 4e-6)
    assert len(output()) == 5


def test_many_faulty_lines_are_told_of_in_short(batch):
    write(*["{\n"] * 30)
    result = batch()
    assert len(result.stderr.splitlines()) == 11
    assert "20 more lines are faulty" in result.stderr


def test_what_fails_is_tried_again_where_it_may_help(batch, server):
    write(row("a"), row("b"), row("c"), row("d"), row("e"))
    server.script = {"a": [503, 503], "b": [400], "c": ["gone"], "d": [502], "e": ["nonsense"]}
    assert batch().exit_code == 1
    asked = [text for _, text, *_ in server.asked]
    assert [asked.count(each) for each in "abcde"] == [3, 1, 2, 1, 1]
    found = {each["custom_id"]: each for each in output()}
    assert [found[each]["response"]["status_code"] for each in "abcd"] == [200, 400, 200, 502]
    assert found["b"]["response"]["body"] == {"error": {"code": "x", "message": "no"}}
    assert found["e"]["error"]["code"] == "bad_answer"


def test_the_same_command_goes_on(batch, server):
    write(*(row(f"c{n}") for n in range(10)))
    assert batch().exit_code == 0
    whole = Path("out.jsonl").read_bytes()
    again = batch()
    assert "10 were done before" in again.stdout
    assert Path("out.jsonl").read_bytes() == whole
    assert len(server.asked) == 10
    Path("out.jsonl").write_bytes(whole[:-20])
    assert batch().exit_code == 0
    assert (len(server.asked), len({each["id"] for each in output()}), len(output())) == (11, 10, 10)


def test_errors_of_the_command_itself(batch, zoran, server):
    assert batch().exit_code == 3
    write(row("a"))
    server.script["models"] = 401
    refused = batch()
    assert (refused.exit_code, Path("out.jsonl").read_text()) == (1, "")
    assert "valid key" in refused.stderr
    Path("out.jsonl").write_text("notes\n")
    other = batch()
    assert (other.exit_code, Path("out.jsonl").read_text()) == (3, "notes\n")
    nobody = zoran("batch", "run", "in.jsonl", "-o", "new.jsonl", "--base-url", "http://127.0.0.1:9")
    assert nobody.exit_code == 4


def test_killed_in_the_middle_and_run_again(batch, server):
    write(*(row(f"c{n}") for n in range(120)))
    server.pause_s = 0.02
    command = [sys.executable, "-m", "zoran_ray.cli", "batch", "run", "in.jsonl", "-o", "out.jsonl"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    for part, signal_ in ((10, signal.SIGKILL), (40, signal.SIGINT), (70, signal.SIGKILL)):
        with subprocess.Popen(
            [*command, "--base-url", server.url, "--concurrency", "4"],
            stdout=subprocess.DEVNULL,
            env=env,
        ) as process:
            target = Path("out.jsonl")
            while not target.exists() or target.read_bytes().count(b"\n") < part:
                assert process.poll() is None
                time.sleep(0.002)
            process.send_signal(signal_)
        assert process.returncode == (130 if signal_ == signal.SIGINT else -9)
    assert len(output()) < 120
    server.pause_s = 0
    assert batch().exit_code == 0
    assert sorted(each["custom_id"] for each in output()) == sorted(f"c{n}" for n in range(120))


def test_the_bar_has_throughput_cost_and_the_time_that_is_left():
    now, screen = [100.0], io.StringIO()
    counts = Counts(total=40, before=10)
    console = Console(file=screen, force_terminal=True, width=100, no_color=True, legacy_windows=False)
    with bar(counts, console, clock=lambda: now[0]) as show:
        show()
        for second in range(1, 6):
            now[0] = 100.0 + second
            counts.completed, counts.nano_usd = second, 100_000 * second
            counts.prompt_tokens, counts.completion_tokens = 30 * second, 2 * second
            show()
        counts.failed = 1
        show()
    last = screen.getvalue().split("\r")[-2]
    assert "16/40" in last
    assert "32 tokens/s · 0.0005 USD · 1 failed · ETA" in last
    # A line a second, or a little more for the one that failed: 24 are left.
    assert re.search(r"ETA 0:00:2\d", last)
