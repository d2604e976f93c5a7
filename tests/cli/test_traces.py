"""`zoran traces` with what is no trace, and with documents that nobody should believe."""

import json
from typing import Any

import pytest

from tests.client.chat_server import error_reply, json_reply

ID = f"trace-{'0' * 32}"
DOCUMENT = {
    "id": ID,
    "object": "trace",
    "model": "zoran/cot",
    "ended": "done",
    "answer": "4\x1b[2J",
    "steps": [
        {"id": 1, "parent": 0, "kind": "thought", "text": "two and\ntwo", "used": {"completion_tokens": 2}},
        {"id": 2, "parent": 1, "kind": "answer", "text": "4", "used": "much"},
        "nonsense",
    ],
}


def test_a_trace_is_a_tree_and_its_answer(chat_server: Any, zoran: Any) -> None:
    chat_server.replies.append(json_reply(DOCUMENT))
    shown = zoran("traces", "show", ID, "--base-url", chat_server.url)
    assert shown.stdout.splitlines() == ["thought: two and two (2 tokens)", "  answer: 4", "4[2J"]
    assert chat_server.requests[0][0] == f"/v1/traces/{ID}"


@pytest.mark.parametrize(
    ("text", "status", "says"),
    [
        ("{", 1, "not JSON"),
        ("[" * 100_000, 1, "not JSON"),
        ('{"object": "list"}', 1, "no trace"),
        (json.dumps(DOCUMENT), 1, "no trace that can be replayed"),
        (None, 3, "no file that can be read"),
    ],
)
def test_what_is_no_trace_is_said(zoran: Any, tmp_path: Any, text: Any, status: int, says: str) -> None:
    file = tmp_path / "trace.json"
    if text is not None:
        file.write_text(text)
    shown = zoran("traces", "replay", str(file))
    assert (shown.exit_code, says in shown.stderr) == (status, True)


def test_a_trace_that_is_gone(chat_server: Any, zoran: Any) -> None:
    chat_server.replies.append(error_reply(404, "record_not_found", "There is no such trace."))
    shown = zoran("traces", "replay", ID, "--base-url", chat_server.url)
    assert (shown.exit_code, "no such trace" in shown.stderr) == (1, True)
