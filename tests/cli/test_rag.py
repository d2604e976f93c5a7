"""`zoran rag` over a folder, with a loopback server where a model is asked."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.client.chat_server import json_reply


def said(text: str) -> Any:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return json_reply({"id": "x", "object": "chat.completion", "model": "local/m", "choices": [choice]})


@pytest.fixture
def notes(state_dir: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "tea.md").write_text("# Tea\n\nGreen tea is brewed at seventy degrees.\n")
    (folder / "rain.md").write_text("Rain falls mainly in the plain.\n")
    (folder / ".env").write_text("KEY=1")
    return folder


@pytest.fixture
def indexed(zoran: Callable[..., Any], notes: Path) -> Path:
    assert zoran("rag", "index", str(notes)).exit_code == 0
    return notes


def test_an_index_is_made_and_kept_up(zoran: Callable[..., Any], notes: Path, state_dir: Path) -> None:
    result = zoran("rag", "index", str(notes))
    assert (result.exit_code, result.stdout) == (
        0, "2 files added, 0 changed, 0 gone, 0 as before; 2 passages read.\n"
    )  # fmt: skip
    assert result.stderr == "Left out: 1 (looks like a secret)\n"
    (notes / "rain.md").unlink()
    (notes / "snow.md").write_text("Snow is white.")
    result = zoran("rag", "index", str(notes), "--json")
    assert json.loads(result.stdout) == {
        "added": 1, "changed": 0, "unchanged": 1, "vanished": 1, "passages": 1,
        "left_out": {"looks like a secret": 1},
    }  # fmt: skip
    assert [path.name[:6] for path in (state_dir / "rag").iterdir()] == ["notes-"]


def test_search(zoran: Callable[..., Any], indexed: Path) -> None:
    result = zoran("rag", "search", "At what degrees is green tea brewed?", "-f", str(indexed))
    assert result.exit_code == 0
    assert "tea.md:1-3" in result.stdout
    assert "rain.md" not in result.stdout
    result = zoran("rag", "search", "lasagna", "-f", str(indexed), "--json")
    assert json.loads(result.stdout) == []


def test_an_answer_with_its_lines(zoran: Callable[..., Any], indexed: Path, chat_server: Any) -> None:
    chat_server.replies.append(said("At seventy degrees [tea.md:3]."))
    args = ("rag", "ask", "At what degrees is tea brewed?", "-m", "local/m", "-f", str(indexed))
    result = zoran(*args, "--base-url", chat_server.url)
    assert (result.exit_code, result.stdout) == (0, "At seventy degrees [tea.md:3].\n  tea.md:3\n")
    path, _, body = chat_server.requests[-1]
    assert path == "/v1/chat/completions"
    assert (body["model"], body["temperature"]) == ("local/m", 0)
    assert "3| Green tea is brewed" in body["messages"][1]["content"]
    chat_server.replies += [
        said("At ninety \x1b[2J[tea.md:3], and more [none.md:1]."),
    ]
    result = zoran(*args, "--base-url", chat_server.url, "--json")
    told = json.loads(result.stdout)
    assert told["citations"] == [{"path": "tea.md", "first": 3, "last": 3}]
    assert told["invented"] == ["none.md:1"]


def test_nothing_is_made_up(zoran: Callable[..., Any], indexed: Path, chat_server: Any) -> None:
    args = ("-f", str(indexed), "-m", "local/m", "--base-url", chat_server.url)
    result = zoran("rag", "ask", "How is lasagna made?", *args)
    assert (result.exit_code, result.stdout) == (1, "Nothing in the indexed files answers this.\n")
    assert chat_server.requests == []
    chat_server.replies += [said("Ninety."), said("I am sure: ninety.")]
    result = zoran("rag", "ask", "How hot is tea?", *args)
    assert (result.exit_code, result.stdout) == (1, "Nothing in the indexed files answers this.\n")
    assert len(chat_server.requests) == 2


def test_what_changed_since_is_not_told(zoran: Callable[..., Any], indexed: Path) -> None:
    (indexed / "tea.md").write_text("Green tea is brewed at ninety degrees.\n")
    result = zoran("rag", "search", "green tea brewed", "-f", str(indexed))
    assert "tea.md:1" not in result.stdout
    assert "tea.md" in result.stderr
    zoran("rag", "index", str(indexed))
    assert "ninety" in zoran("rag", "search", "green tea brewed", "-f", str(indexed)).stdout


def test_without_an_index_or_a_folder(zoran: Callable[..., Any], notes: Path) -> None:
    result = zoran("rag", "search", "tea", "-f", str(notes))
    assert result.exit_code == 1
    assert "zoran rag index" in result.stderr
    for args in (("index", "none"), ("search", "tea", "-f", "none"), ("forget", str(notes))):
        assert zoran("rag", *args).exit_code == 1
    assert zoran("rag", "ask", " ", "-f", str(notes)).exit_code == 2


def test_forget(zoran: Callable[..., Any], indexed: Path, state_dir: Path) -> None:
    assert zoran("rag", "forget", str(indexed)).exit_code == 0
    assert list((state_dir / "rag").iterdir()) == []
    assert (indexed / "tea.md").exists()


def test_an_embedding_model_of_the_server(zoran: Callable[..., Any], notes: Path, chat_server: Any) -> None:
    def vectors(*kinds: int) -> Any:
        rows = [
            {"index": i, "embedding": [float(kind == 0), float(kind == 1)]} for i, kind in enumerate(kinds)
        ]
        return json_reply({"data": rows})

    chat_server.replies += [vectors(0), vectors(0, 1)]
    at = ("--base-url", chat_server.url)
    result = zoran("rag", "index", str(notes), "--embedder", "local/mini", *at)
    assert result.exit_code == 0, result.stderr
    assert [body["model"] for _, _, body in chat_server.requests] == ["local/mini"] * 2
    assert chat_server.requests[1][2]["input"][0].startswith("rain.md:1:1\n")
    chat_server.replies.append(vectors(1))
    result = zoran("rag", "search", "quelque boisson", "-f", str(notes), *at)
    assert "tea.md:1-3" in result.stdout
    assert "rain.md" not in result.stdout
    result = zoran("rag", "index", str(notes), "--embedder", "hashed")
    assert result.stdout.startswith("0 files added, 0 changed")
    assert "tea.md" in zoran("rag", "search", "green tea brewed", "-f", str(notes)).stdout
