"""`zoran chat` against a loopback server, in this process and at a real terminal."""

import json
import os
import pty
import re
import select
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.client.chat_server import DONE, FINISH, delta, error_reply, event, stream_reply
from zoran_ray.cli.endpoint import reachable
from zoran_ray.control import ServerRecord, write_record

INTERRUPT, END = b"\x03", b"\x04"


class Terminal:
    """A child process whose standard streams are one terminal."""

    def __init__(self, *args: str) -> None:
        self._side, theirs = pty.openpty()
        attributes = termios.tcgetattr(theirs)
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(theirs, termios.TCSANOW, attributes)
        entry = "from zoran_ray.cli import main; main()"
        self.child = subprocess.Popen(
            [sys.executable, "-c", entry, *args],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: os.close(
                os.open(os.ttyname(0), os.O_RDWR)
            ),  # makes it the controlling terminal
            env={**os.environ, "TERM": "xterm"},
        )
        os.close(theirs)
        self.seen = ""

    def read_until(self, text: str) -> str:
        """Everything shown up to `text`, since the last time."""
        while text not in self.seen:
            ready, _, _ = select.select([self._side], [], [], 60)
            assert ready, f"{text!r} never came, only {self.seen!r}"
            self.seen += os.read(self._side, 65536).decode()
        shown, _, self.seen = self.seen.partition(text)
        return shown

    def type(self, text: bytes) -> None:
        os.write(self._side, text)

    def interrupt(self) -> None:
        """Press Ctrl-C once the child waits: any earlier, CPython may notice it with the next key only."""
        while psutil.Process(self.child.pid).status() != psutil.STATUS_SLEEPING:
            time.sleep(0.001)
        self.type(INTERRUPT)

    def close(self) -> int:
        try:
            while os.read(self._side, 65536):
                pass
        except OSError:
            pass  # the other side is closed
        os.close(self._side)
        return self.child.wait(60)


@pytest.fixture
def terminal(state_dir: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def open_terminal(*args: str) -> Terminal:
        opened.append(Terminal(*args))
        return opened[-1]

    yield open_terminal
    for each in opened:
        each.child.kill()
        each.child.wait()


def test_one_question(zoran: Any, chat_server: Any) -> None:
    result = zoran("chat", "-q", "What is 17+25?", "--base-url", chat_server.url)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "42\n", "")
    assert chat_server.requests[-1][2]["model"] == "local/pocket"


def test_a_question_from_a_pipe(zoran: Any, chat_server: Any) -> None:
    args = ("chat", "--base-url", chat_server.url, "-m", "other", "--system", "Be brief.")
    assert zoran(*args, input="17+25?\n").stdout == "42\n"
    body = chat_server.requests[-1][2]
    assert body["model"] == "other"
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "17+25?\n"},
    ]
    assert zoran(*args, input=" \n").exit_code == 2


def test_json(zoran: Any, chat_server: Any) -> None:
    result = zoran("chat", "-q", "x", "--json", "--base-url", chat_server.url)
    assert json.loads(result.stdout) == {
        "text": "42",
        "reasoning": "",
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 7, "completion_tokens": 2},
        "model": "local/pocket",
    }


def test_where_the_key_comes_from(zoran: Any, chat_server: Any) -> None:
    def sent(*args: str, **env: str) -> str | None:
        assert zoran("chat", "-q", "x", "--base-url", chat_server.url, *args, env=env).exit_code == 0
        return chat_server.requests[-1][1].get("authorization")

    assert sent() is None
    assert sent(OPENAI_API_KEY="o") == "Bearer o"
    assert sent(OPENAI_API_KEY="o", ZORAN_API_KEY="z") == "Bearer z"
    assert sent("--api-key", "f", ZORAN_API_KEY="z") == "Bearer f"


def test_the_server_of_the_state_directory_is_asked(zoran: Any, chat_server: Any, state_dir: Path) -> None:
    write_record(state_dir, ServerRecord(1, 1.0, chat_server.url, 1.0))
    assert zoran("chat", "-q", "x").stdout == "42\n"
    assert zoran("chat", "-q", "x", env={"ZORAN_BASE_URL": "http://127.0.0.1:9"}).exit_code == 4


def test_our_own_server_is_not_shown_the_key_of_a_provider(
    zoran: Any, chat_server: Any, state_dir: Path
) -> None:
    write_record(state_dir, ServerRecord(1, 1.0, chat_server.url, 1.0))
    assert zoran("chat", "-q", "x", env={"OPENAI_API_KEY": "o"}).exit_code == 0
    assert "authorization" not in chat_server.requests[-1][1]
    zoran("chat", "-q", "x", env={"OPENAI_API_KEY": "o", "ZORAN_API_KEY": "z"})
    assert chat_server.requests[-1][1]["authorization"] == "Bearer z"


def test_wildcard_addresses_are_asked_on_loopback() -> None:
    assert reachable("0.0.0.0", 1) == "http://127.0.0.1:1"
    assert reachable("::", 1) == "http://[::1]:1"
    assert reachable("::1", 1) == "http://[::1]:1"
    assert reachable("localhost", 1) == "http://localhost:1"
    assert reachable("10.0.0.1", 1) == "http://10.0.0.1:1"


def test_refusals(zoran: Any, chat_server: Any) -> None:
    for reply, status in (
        (error_reply(401, "invalid_api_key"), 1),
        (error_reply(403, "permission_denied"), 5),
    ):
        chat_server.replies.append(reply)
        result = zoran("chat", "-q", "x", "-m", "m", "--base-url", chat_server.url)
        assert result.exit_code == status
        assert result.stderr.startswith("Error: No.")


def test_an_answer_that_breaks_off(zoran: Any, chat_server: Any) -> None:
    chat_server.replies.append(stream_reply(delta(content="4")))
    result = zoran("chat", "-q", "x", "-m", "m", "--base-url", chat_server.url)
    assert (result.exit_code, result.stdout) == (1, "4\n")
    assert "broke off" in result.stderr


def test_a_conversation_at_a_terminal(chat_server: Any, terminal: Any) -> None:
    screen = terminal("chat", "--base-url", chat_server.url)
    screen.read_until("> ")
    screen.type(b"first\n")
    assert "42" in screen.read_until("> ")
    screen.type(b"\n")
    screen.read_until("> ")
    screen.type(b"second\n")
    screen.read_until("> ")
    screen.type(END)
    assert screen.close() == 0
    assert [turn["content"] for turn in chat_server.requests[-1][2]["messages"]] == [
        "first",
        "42",
        "second",
    ]


@pytest.mark.parametrize("direct", [False, True])
def test_interrupting_an_answer(chat_server: Any, terminal: Any, tmp_path: Path, direct: bool) -> None:
    release = threading.Event()
    chat_server.replies.append(stream_reply(delta(content="half"), hold=release))
    whom = ("-m", "m", "--base-url", chat_server.url)
    if direct:
        arm = f"{{name: ollama/m, provider: ollama, upstream: m, base_url: '{chat_server.url}', "
        (tmp_path / "m.yaml").write_text(f"arms: [{arm} context_tokens: 99, data_goes: local}}]")
        whom = ("--direct", "--models-file", "m.yaml")
    screen = terminal("chat", *whom)
    screen.read_until("> ")
    screen.type(b"first\n")
    screen.read_until("half")
    screen.interrupt()
    screen.read_until("(cancelled)")
    screen.read_until("> ")
    screen.interrupt()
    screen.read_until("> ")
    screen.type(b"second\n")
    screen.read_until("42")
    screen.read_until("> ")
    screen.type(END)
    assert screen.close() == 0
    release.set()
    assert [turn["content"] for turn in chat_server.requests[-1][2]["messages"]] == [
        "first",
        "half",
        "second",
    ]


def test_interrupting_the_only_question(chat_server: Any, terminal: Any) -> None:
    release = threading.Event()
    chat_server.replies.append(stream_reply(delta(content="half"), hold=release))
    screen = terminal("chat", "-q", "x", "-m", "m", "--base-url", chat_server.url)
    screen.read_until("half")
    screen.interrupt()
    assert screen.close() == 130
    release.set()


def test_answers_cannot_steer_the_terminal(chat_server: Any, terminal: Any) -> None:
    chat_server.replies.append(
        stream_reply(delta(reasoning="hm"), delta(content="a\x1b]0;title\x07\u009b2Jb"), FINISH, DONE)
    )
    screen = terminal("chat", "-q", "x", "-m", "m", "--base-url", chat_server.url)
    assert "a]0;title2J" in screen.read_until("b")
    assert screen.close() == 0


def test_reasoning_is_dim_unless_colour_is_off(
    chat_server: Any, terminal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shown() -> str:
        chat_server.replies.append(
            stream_reply(delta(reasoning="hm"), delta(content="answer"), FINISH, DONE)
        )
        screen = terminal("chat", "-q", "x", "-m", "m", "--base-url", chat_server.url)
        text: str = screen.read_until("answer")
        assert screen.close() == 0
        return text

    assert shown() == "\x1b[2mhm\x1b[0m\r\n"
    monkeypatch.setenv("NO_COLOR", "1")
    assert shown() == "hm\r\n"


def test_an_error_does_not_end_a_conversation(chat_server: Any, terminal: Any) -> None:
    chat_server.replies.append(error_reply(400, "invalid_value", "Too long."))
    screen = terminal("chat", "-m", "m", "--base-url", chat_server.url)
    screen.read_until("> ")
    screen.type(b"x\n")
    assert "Too long." in screen.read_until("> ")
    screen.type(END)
    assert screen.close() == 0


def _thought(number: int, parent: int, text: str) -> bytes:
    choice = {"index": 0, "delta": {"reasoning": text}, "finish_reason": None}
    zoran = {"id": number, "parent": parent, "strategy": "tot", "kind": "thought", "tokens": 7}
    return event({"model": "zoran/tot", "choices": [choice], "zoran": zoran})


def test_thoughts_are_a_tree_that_grows(
    chat_server: Any, terminal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    release = threading.Event()
    first = _thought(1, 0, "13 - 9\n"), _thought(2, 0, "10 - 4\n"), _thought(3, 1, "4 left\n")
    chat_server.replies.append(stream_reply(*first, hold=release))
    screen = terminal("chat", "-q", "x", "-m", "zoran/tot", "--base-url", chat_server.url)
    screen.read_until("4 left")  # drawn while the answer is still to come
    release.set()
    screen.close()
    told = {"trace_id": "trace-1", "ended": "done", "calls": 3, "tokens": 21}
    end = event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "zoran": told})
    chat_server.replies.append(stream_reply(*first, delta(content="24"), end, DONE))
    screen = terminal("chat", "-q", "x", "-m", "zoran/tot", "--base-url", chat_server.url)
    shown = screen.read_until("trace-1")
    assert screen.close() == 0
    # A branch comes under its parent, though it came after its parent's sibling.
    assert re.search(r"├── thought 13 - 9 .*\s+│   └── thought 4 left .*\s+└── thought 10 - 4", shown)
    assert shown.count("24") == 1
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", shown)
    assert "done: 3 calls, 21 tokens" in shown
