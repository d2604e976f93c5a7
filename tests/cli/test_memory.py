"""`zoran memory` against a loopback server."""

import json
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest

from tests.client.chat_server import error_reply, json_reply

KEPT = {"object": "list", "data": [{"id": "r1", "layer": "long", "merged": False, "journal_leaf": 4}]}
HIT = {
    "id": "r1", "subject": "anna", "text": "Anna\nlikes \x1b[2Jtea " + 300 * "x", "layer": "parasitic",
    "untrusted": True, "score": 0.0327, "cosine": 0.5, "bm25": None,
}  # fmt: skip
RECORD = {
    "object": "memory.record", "id": "r1", "text": "tea", "created": 0.0, "expires": None,
    "confirmed": False,
    "corroborated": ["user:a", "user:b"], "provenance": {"request_id": "q", "journal_leaf": 4},
}  # fmt: skip
ERASED = {"object": "memory.erasure", "forgotten": 3, "journal_leaf": 9, "compacted": False}
CONSENT = {"object": "memory.consent", "id": "c1", "journal_leaf": 2}
MOVED = {"object": "memory.record", "id": "r1", "layer": "latent", "merged": False, "journal_leaf": 5}
SHARD = {
    "name": "shard-0", "node": "n1", "waits_for": [],
    "stats": {"records": 7, "tenants": 2, "consents": 1, "memory_bytes": 2_500_000, "log_bytes": 1000},
}  # fmt: skip
STATS = {"object": "memory.stats", "embedder": {"id": "hashed", "dimension": 384}, "shards": [SHARD]}


@pytest.fixture
def memory(zoran: Any, chat_server: Any) -> Any:
    """Runs `zoran memory` once against a server that gives one answer."""

    def run(answer: Any, *args: str, **options: Any) -> Any:
        chat_server.replies.append(answer if not isinstance(answer, dict) else json_reply(answer))
        return zoran("memory", *args, "--base-url", chat_server.url, **options)

    return run


def sent(chat_server: Any) -> tuple[str, Any]:
    path, _, body = chat_server.requests[-1]
    return path, body


def test_put(memory: Any, chat_server: Any) -> None:
    result = memory(
        KEPT, "put", "Anna likes tea", "-s", "anna", "--purpose", "personalisation", "--consent", "c1",
        "--expires", "1h", "--source", "web:x.example", "--api-key", "k",
    )  # fmt: skip
    assert (result.exit_code, result.stdout) == (0, "r1 (long)\n")
    path, body = sent(chat_server)
    assert path == "/v1/memory"
    assert chat_server.requests[-1][1]["authorization"] == "Bearer k"
    assert 0 <= time.time() - body["created"] < 60
    assert body["expires"] == body["created"] + 3600
    assert len(body.pop("id")) == 32
    assert {name: body[name] for name in body if name not in ("created", "expires")} == {
        "subject": "anna", "text": "Anna likes tea", "purpose": "personalisation", "layer": "long",
        "sensitivity": "none", "source": "web:x.example", "consent": "c1",
    }  # fmt: skip


def test_a_text_may_come_from_a_pipe(memory: Any, chat_server: Any) -> None:
    for args in (("put", "-s", "anna"), ("put", "-", "-s", "anna"), ("search",)):
        result = memory(KEPT, *args, "--json", input="From a pipe\n")
        assert json.loads(result.stdout) == KEPT
        assert sent(chat_server)[1]["text"] == "From a pipe"


def test_a_pipe_without_a_text_or_with_too_much(zoran: Any, chat_server: Any) -> None:
    for said in (" \n", "x" * 65_537):
        assert zoran("memory", "search", "--base-url", chat_server.url, input=said).exit_code == 2
    assert chat_server.requests == []


def test_search(memory: Any, chat_server: Any) -> None:
    filters = ("-s", "anna", "-s", "bob", "--layer", "parasitic", "--purpose", "knowledge", "--limit", "5")
    result = memory({"object": "list", "data": [HIT]}, "search", "tea", *filters)
    asked = {"subjects": ["anna", "bob"], "layers": ["parasitic"], "purposes": ["knowledge"]}
    assert sent(chat_server) == ("/v1/memory/search", {"text": "tea", "limit": 5, **asked})
    row = result.stdout.splitlines()[1]
    assert row.startswith("r1  parasitic, untrusted  anna     0.0327  Anna likes [2Jtea xxx")
    assert row.endswith("x…")
    memory({"object": "list", "data": []}, "search", "tea")
    assert sent(chat_server)[1] == {"text": "tea", "limit": 10}


def test_get(memory: Any, chat_server: Any) -> None:
    result = memory(RECORD, "get", "a/b ?")
    assert sent(chat_server)[0] == "/v1/memory/a%2Fb%20%3F"
    lines = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines()}
    assert lines["created"] == ["1970-01-01", "00:00:00", "UTC"]
    assert lines["corroborated"] == ["user:a,", "user:b"]
    assert lines["provenance"] == ["request_id", "q,", "journal_leaf", "4"]
    assert lines["confirmed"] == ["no"]


def test_forget(memory: Any, chat_server: Any) -> None:
    result = memory(ERASED, "forget", "r1", "r2")
    assert (result.stdout, result.stderr) == ("Forgot 3 records (journal entry 9).\n", "")
    assert sent(chat_server) == ("/v1/memory/forget", {"ids": ["r1", "r2"], "compact": False})
    result = memory({**ERASED, "journal_leaf": None}, "forget", "--subject", "anna", "--compact")
    assert sent(chat_server)[1] == {"subject": "anna", "compact": True}
    assert "repeat" in result.stderr


def test_everything_is_forgotten_only_by_those_who_mean_it(
    memory: Any, zoran: Any, chat_server: Any
) -> None:
    url = ("--base-url", chat_server.url)
    refused = zoran("memory", "forget", "--everything", *url)
    assert (refused.exit_code, "--yes" in refused.stderr) == (2, True)
    for args in ((), ("r1", "--everything"), ("r1", "-s", "anna"), ("-s", "anna", "--everything")):
        assert zoran("memory", "forget", *args, "--yes", *url).exit_code == 2
    assert chat_server.requests == []
    assert memory(ERASED, "forget", "--everything", "--yes").exit_code == 0
    assert sent(chat_server)[1] == {"everything": True, "compact": False}


class Terminal:
    """Standard input as if somebody sat there."""

    def isatty(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stdin, name)


@pytest.mark.parametrize(("said", "asked"), [("n\n", 0), ("y\n", 1)])
def test_on_a_terminal_somebody_is_asked(
    memory: Any, chat_server: Any, monkeypatch: pytest.MonkeyPatch, said: str, asked: int
) -> None:
    monkeypatch.setattr("zoran_ray.cli.memory.sys", SimpleNamespace(stdin=Terminal()))
    result = memory(ERASED, "forget", "--everything", input=said)
    assert (result.exit_code == 0) is bool(asked)
    assert len(chat_server.requests) == asked
    assert "Erase everything" in result.stderr


def test_export(memory: Any, chat_server: Any) -> None:
    kept = {"object": "memory.export", "records": [RECORD]}
    assert json.loads(memory(kept, "export", "-s", "anna").stdout) == kept
    assert sent(chat_server) == ("/v1/memory/export", {"subject": "anna"})


def test_consents(memory: Any, chat_server: Any) -> None:
    args = ("--purpose", "a", "--purpose", "b", "--layer", "long", "--expires", "1d")
    assert memory(CONSENT, "consent", "give", "-s", "anna", *args).stdout == "c1\n"
    path, body = sent(chat_server)
    assert path == "/v1/memory/consents"
    assert body["expires"] == body["given"] + 86400
    assert (body["purposes"], body["layers"], body["subject"]) == (["a", "b"], ["long"], "anna")
    assert memory(CONSENT, "consent", "withdraw", "c1").stdout == "Withdrew c1 (journal entry 2).\n"
    assert sent(chat_server) == ("/v1/memory/consents/c1/withdraw", {"forget": True})
    memory(CONSENT, "consent", "withdraw", "c1", "--keep")
    assert sent(chat_server)[1] == {"forget": False}


@pytest.mark.parametrize("act", ["confirm", "promote"])
def test_moves(memory: Any, chat_server: Any, act: str) -> None:
    assert memory(MOVED, act, "r1").stdout == "r1 is in latent (journal entry 5).\n"
    assert sent(chat_server) == (f"/v1/memory/r1/{act}", {})
    assert json.loads(memory(MOVED, act, "r1", "--json").stdout) == MOVED


def test_stats_and_compact(memory: Any, chat_server: Any) -> None:
    lines = memory(STATS, "stats").stdout.splitlines()
    assert lines[0] == "Embedder: hashed (384 numbers)"
    assert lines[2].split() == ["shard-0", "n1", "ready", "7", "2", "1", "2.5", "0.0"]
    away = {**STATS, "shards": [{**SHARD, "stats": None}, {**SHARD, "waits_for": ["shard-1"]}]}
    lines = memory(away, "stats").stdout.splitlines()
    assert "away" in lines[2]
    assert "waits for shard-1" in lines[3]
    assert len(memory({**STATS, "shards": None}, "stats").stdout.splitlines()) == 1
    assert memory({"object": "memory.compaction"}, "compact").stdout == "Compacted.\n"
    assert sent(chat_server) == ("/v1/memory/compact", {})


@pytest.mark.parametrize("answer", [[], 5, {"data": 5}, {"data": [5, {"score": "x"}]}, {"shards": [7]}])
@pytest.mark.parametrize(
    "args",
    [
        ("put", "x", "-s", "a"), ("search", "x"), ("get", "r"), ("forget", "r"), ("confirm", "r"),
        ("stats",), ("consent", "give", "-s", "a", "--purpose", "p"), ("consent", "withdraw", "c"),
        ("export", "-s", "a"),
    ],
)  # fmt: skip
def test_an_answer_of_another_shape_is_shown_as_far_as_it_goes(
    memory: Any, args: tuple[str, ...], answer: Any
) -> None:
    assert memory(json_reply(answer), *args).exit_code == 0


def test_refusals_have_the_usual_statuses(memory: Any, zoran: Any) -> None:
    refused = memory(error_reply(403, "consent_required", "No consent."), "put", "x", "-s", "a")
    assert (refused.exit_code, "No consent." in refused.stderr) == (5, True)
    assert memory(error_reply(404, "record_not_found"), "get", "r").exit_code == 1
    assert zoran("memory", "get", "..").exit_code == 2
    assert zoran("memory", "stats", "--base-url", "http://127.0.0.1:9").exit_code == 4
