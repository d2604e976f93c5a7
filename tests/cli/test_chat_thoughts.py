"""`zoran chat` with a strategy where nobody looks: thoughts as indented lines, and what may be in them."""

import json
from typing import Any

import pytest

from tests.client.chat_server import DONE, delta, event, stream_reply
from zoran_ray.cli import thought_tree
from zoran_ray.cli.thought_tree import MOST_LINE_CHARS, ThoughtTree, ended_line
from zoran_ray.client.answers import read_delta

END = {
    "trace_id": "trace-1",
    "ended": "done",
    "calls": 3,
    "tokens": 40,
    "cached_tokens": 8,
    "cost_usd": 0.5,
}


def chunk(text: str, zoran: Any, finish: str | None = None) -> bytes:
    told = {"reasoning": text} if text else {}
    choice = {"index": 0, "delta": told, "finish_reason": finish}
    return event({"model": "zoran/tot", "choices": [choice], "zoran": zoran})


def thought(number: int, parent: int, text: str = "", kind: str = "thought", **more: Any) -> bytes:
    return chunk(text, {"id": number, "parent": parent, "strategy": "tot", "kind": kind, **more})


ANSWER = (
    thought(1, 0, "try \x1b[31m13 - 9\n", tokens=7),
    thought(2, 1, "4\nleft\n"),
    thought(3, 1, "5 left\n"),
    thought(4, 2, kind="answer", text_of="", tokens=2),
    delta(content="24"),
    chunk("", END, "stop"),
    DONE,
)


def test_thoughts_are_indented_lines(chat_server: Any, zoran: Any) -> None:
    chat_server.replies.append(stream_reply(*ANSWER))
    shown = zoran("chat", "-q", "x", "-m", "zoran/tot", "--base-url", chat_server.url)
    assert (shown.exit_code, shown.stdout) == (0, "24\n")
    assert shown.stderr.splitlines() == [
        "thought: try [31m13 - 9 (7 tokens)",
        "  thought: 4 left",
        "  thought: 5 left",
        "    answer:  (2 tokens)",
    ]


def test_as_json_there_is_the_answer_alone(chat_server: Any, zoran: Any) -> None:
    chat_server.replies.append(stream_reply(*ANSWER))
    shown = zoran("chat", "-q", "x", "-m", "zoran/tot", "--json", "--base-url", chat_server.url)
    assert shown.stderr == ""
    assert json.loads(shown.stdout)["text"] == "24"


def test_what_an_answer_step_says_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    tree = ThoughtTree(terminal=False)
    tree.hear({"id": 1, "parent": 0, "kind": "answer", "text": "24"}, "")
    assert capsys.readouterr().err == "answer: 24\n"


@pytest.mark.parametrize(
    "zoran",
    [
        {},
        {"id": "1", "parent": None, "kind": 7},
        {"id": -5, "parent": 10**30, "kind": "x" * 999, "tokens": "many", "text": {"a": 1}},
        {"id": 1, "parent": 1, "kind": "a\nb\x1b[2J", "text": "y" * 9999},
    ],
)
@pytest.mark.parametrize("terminal", [False, True])
def test_whatever_a_server_says_is_one_short_line(
    zoran: Any, terminal: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = ThoughtTree(terminal=terminal)
    tree.hear(zoran, "")
    tree.hear(zoran, "")
    tree.end()
    shown = capsys.readouterr().err
    assert "\x1b[2J" not in shown
    if not terminal:
        assert shown.count("\n") <= 1
        assert len(shown) < MOST_LINE_CHARS + 100


def test_very_many_thoughts_are_counted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thought_tree, "MOST_NODES", 2)
    tree = ThoughtTree(terminal=False)
    for number in range(1, 6):
        tree.hear({"id": number, "parent": 0, "kind": "thought"}, "x")
    tree.end()
    assert capsys.readouterr().err == "thought: x\nthought: x\n(3 more thoughts)\n"


def test_what_it_took() -> None:
    assert ended_line(END) == "done: 3 calls, 40 tokens (8 cached), 0.500000 USD, trace-1"
    assert ended_line({"id": 1}) == ""
    assert ended_line({"trace_id": 3, "calls": "x"}) == ": 0 calls, 0 tokens (0 cached), 0 USD, "


@pytest.mark.parametrize("zoran", [None, 3, "x", [1]])
def test_other_servers_may_say_anything(zoran: Any) -> None:
    assert read_delta({"choices": [], "zoran": zoran}).zoran is None


def answer(number: int, parent: int, rest: str, said: str) -> bytes:
    about = {"id": number, "parent": parent, "strategy": "cot", "kind": "answer", "text": said}
    return chunk(rest, about)


def test_a_thought_in_pieces_is_one_line(chat_server: Any, zoran: Any) -> None:
    pieces = [thought(1, 0, text, partial=True) for text in ("two ", "and ", "two")]
    whole = (*pieces, thought(1, 0, "\n", tokens=7), answer(2, 1, "", "4"))
    unmarked = (thought(3, 0, "fo", partial=True), answer(3, 0, "\n", "four"))
    chat_server.replies.append(stream_reply(*whole, *unmarked, delta(content="4"), DONE))
    shown = zoran("chat", "-q", "x", "-m", "zoran/cot", "--base-url", chat_server.url)
    assert shown.stderr.splitlines() == [
        "thought: two and two (7 tokens)",
        "  answer: 4",
        "answer: fo",
    ]


def test_a_thought_that_is_drawn_grows(capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    tree = ThoughtTree(terminal=True)
    for text in ("two ", "and ", "two"):
        tree.hear({"id": 1, "parent": 0, "kind": "thought", "partial": True}, text)
    tree.hear({"id": 1, "parent": 0, "kind": "thought", "tokens": 7}, "\n")
    tree.hear({"id": 1, "parent": 0, "kind": "thought"}, "more")
    tree.end()
    assert str(tree._trees[1].label) == "thought two and two more"
    assert "two and two" in capsys.readouterr().err
