"""`zoran memory reindex` with and without a server, on real folders and over a real socket."""

import asyncio
import io
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from zoran_ray.cli.exits import Commands
from zoran_ray.cli.memory_reindex import bar, reindex
from zoran_ray.control import ControlServer, Progress
from zoran_ray.memory.embedder import EmbedderId, HashedNgrams
from zoran_ray.memory.record import Layer, Record, embedding_bytes
from zoran_ray.memory.rules import rules_of
from zoran_ray.memory.search import Query
from zoran_ray.memory.shard import MemoryShard

OLD, NEW = HashedNgrams(16), HashedNgrams(32)
TEXTS = ["the cat sleeps", "a bicycle in the rain", "bread from the oven"]


@pytest.fixture
def zoran(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The command alone, with 32 numbers configured."""
    monkeypatch.setenv("ZORAN_MEMORY__DIMENSION", "32")
    app = typer.Typer(cls=Commands)
    app.callback()(lambda debug=False: None)
    app.command("reindex")(reindex)
    return lambda *args: CliRunner().invoke(app, ["reindex", *args])


def open_shard(state_dir: Path, name: str, embedder: Any = None) -> MemoryShard:
    return MemoryShard(state_dir / "memory" / name, embedder, rules_of(None))


def fill(state_dir: Path, *names: str) -> None:
    """Shards with a few records each, their vectors of `OLD`."""
    for name in names:
        shard = open_shard(state_dir, name, OLD)
        shard.put([record(f"{name}{number}", text) for number, text in enumerate(TEXTS)])
        shard.close()


def record(name: str, text: str) -> Record:
    vector = embedding_bytes(OLD.embed([text])[0])
    fields = {"purpose": "knowledge", "created": 1000.0, "layer": Layer.LONG, "source": "user:anna"}
    return Record(id=name, tenant="t", subject="s", text=text, embedding=vector, **fields)


def test_without_a_server_the_shards_are_made_anew(state_dir: Path, zoran: Callable[..., Result]) -> None:
    fill(state_dir, "s0", "s1")
    done = json.loads(zoran("--json").stdout)
    assert done == {"embedder": NEW.id, "dimension": 32, "shards": 2, "skipped": 0, "records": 6}
    shard = open_shard(state_dir, "s1", NEW)
    hit = shard.search(Query("t", embedding=embedding_bytes(NEW.embed(["a cat sleeps"])[0])))[0]
    assert (hit.record.id, hit.record.text) == ("s10", TEXTS[0])
    shard.close()


def test_what_is_done_is_not_done_again(state_dir: Path, zoran: Callable[..., Result]) -> None:
    fill(state_dir, "s0")
    assert "3 records in 1 shards now have vectors of" in zoran().stdout
    assert "Nothing to do" in zoran().stdout
    assert json.loads(zoran("--json", "--again").stdout)["records"] == 3


def test_where_there_is_no_memory_there_is_nothing_to_do(zoran: Callable[..., Result]) -> None:
    assert "Nothing to do" in zoran().stdout


def test_a_shard_in_use_is_left_alone(state_dir: Path, zoran: Callable[..., Result]) -> None:
    fill(state_dir, "s0")
    shard = open_shard(state_dir, "s0")
    refused = zoran()
    assert refused.exit_code == 3
    assert "in use by another process" in refused.stderr
    assert shard.embedder == EmbedderId.of(OLD)
    shard.close()


def test_a_model_needs_a_server(
    state_dir: Path, zoran: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(state_dir, "s0")
    monkeypatch.setenv("ZORAN_MEMORY__EMBEDDER", "local/minilm")
    refused = zoran()
    assert refused.exit_code == 4
    assert "Start it with `zoran serve`" in refused.stderr


@pytest.fixture
def asked(state_dir: Path) -> Iterator[list[dict[str, Any]]]:
    """A control server in this process; the requests it got."""
    seen: list[dict[str, Any]] = []
    loop = asyncio.new_event_loop()

    async def memory_reindex(args: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        seen.append(dict(args))
        progress("reindex", "64/128")
        progress("reindex", "128/128")
        return {"embedder": "local/minilm", "dimension": 384, "shards": 1, "skipped": 0, "records": 128}

    server = ControlServer(state_dir, {"memory_reindex": memory_reindex})
    loop.run_until_complete(server.start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield seen
    asyncio.run_coroutine_threadsafe(server.close(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_a_running_server_does_it(asked: list[dict[str, Any]], zoran: Callable[..., Result]) -> None:
    said = zoran("--again")
    assert said.stdout == "128 records in 1 shards now have vectors of local/minilm (384 numbers).\n"
    assert [request["again"] for request in asked] == [True]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_is_for_people(
    asked: list[dict[str, Any]], zoran: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert zoran().stderr == ""
    monkeypatch.setattr("sys.stderr", screen := Terminal())
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    with bar() as progress:
        progress("waiting", "for \x1b[31mit")
        for done in (64, 128):
            progress("s0", f"{done}/128")
    assert "waiting: for [31mit" in screen.getvalue()
    assert "128/128" in screen.getvalue()
