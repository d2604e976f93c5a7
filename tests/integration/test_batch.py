"""Batches on a server of their own: who goes first, who gets how much, and what a lost replica costs."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.integration.conftest import POCKET
from tests.integration.stack import ZORAN, Stack, until

pytestmark = [pytest.mark.integration, pytest.mark.engine]

SLOTS = 4
LINES = 60
TWO = {"min_replicas": 2, "max_replicas": 2}
SMALL = POCKET | {"engine_args": POCKET["engine_args"] | {"max_num_seqs": SLOTS}, "num_cpus": 0.5}


@pytest.fixture(scope="module")
def server() -> Iterator[Stack]:
    """A model with two replicas of few places each. It must end clean."""
    made = Stack([SMALL | {"name": "pair", "scaling": TWO}])
    made.start()
    until("both replicas are there", lambda: len(made.replicas("local/pair")) == 2, 420.0)
    yield made
    made.end()


@pytest.fixture
def files(server: Stack, tmp_path: Path) -> tuple[Path, Path]:
    source = tmp_path / "in.jsonl"
    source.write_text("".join(_line(number) for number in range(LINES)))
    return source, tmp_path / "out.jsonl"


def test_a_request_in_between_overtakes_the_lines_that_wait(
    server: Stack, files: tuple[Path, Path]
) -> None:
    with _batch(server, *files) as batch:
        until("lines wait at both engines", lambda: all(_waiting(server)))
        body = {"model": "local/pair", "messages": [{"role": "user", "content": "What is 1+1?"}]}
        answer = httpx.post(f"{server.base_url}/v1/chat/completions", json=body, timeout=200)
        done = len(_ids(files[1]))
        assert answer.status_code == 200
        # In the order of arrival it would have been behind all but the last few.
        assert done < LINES - 4 * SLOTS, f"{done} lines went first"
        assert batch.wait(240) == 0
    assert _ids(files[1]) == _all()


def test_both_replicas_get_lines_and_one_that_is_killed_takes_none_along(
    server: Stack, files: tuple[Path, Path]
) -> None:
    before = _made(server)
    with _batch(server, *files) as batch:
        until("some lines are answered", lambda: len(_ids(files[1])) >= 6)
        after = _made(server)
        assert all(after[each] > before[each] for each in before), "both have worked"
        for pid in server.replicas("local/pair")[0]["pids"]:
            psutil.Process(pid).kill()
        assert batch.wait(400) == 0
    assert _ids(files[1]) == _all()


def test_a_line_may_ask_a_strategy(server: Stack, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    messages = [{"role": "user", "content": "What is 17+25?"}]
    zoran = {"strategy": {"samples": 3}, "budget": {"calls": 3}}
    body = {"model": "zoran/self-consistency:local/pair", "messages": messages, "zoran": zoran}
    row = {"custom_id": "votes", "method": "POST", "url": "/v1/chat/completions", "body": body}
    source.write_text(json.dumps(row) + "\n" + _line(0))
    with _batch(server, source, target) as batch:
        assert batch.wait(240) == 0
    assert _ids(target) == ["c0", "votes"]
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    (votes,) = [each["response"]["body"] for each in rows if each["custom_id"] == "votes"]
    assert votes["choices"][0]["message"]["content"]
    assert votes["zoran"]["model"] == "local/pair"
    assert 1 <= votes["zoran"]["calls"] <= 3
    assert votes["usage"]["total_tokens"] == votes["zoran"]["tokens"]


def _batch(server: Stack, source: Path, target: Path) -> "subprocess.Popen[bytes]":
    command = [str(ZORAN), "batch", "run", str(source), "-o", str(target), "--concurrency", str(LINES)]
    return subprocess.Popen(command, env=server.environment, cwd=server.folder, stdout=subprocess.DEVNULL)


def _line(number: int) -> str:
    prompt = f"{number}: once upon a time"
    body: dict[str, Any] = {"model": "local/pair", "prompt": prompt, "max_tokens": 400, "ignore_eos": True}
    row = {"custom_id": f"c{number}", "method": "POST", "url": "/v1/completions", "body": body}
    return json.dumps(row) + "\n"


def _waiting(server: Stack) -> list[float]:
    replicas = server.replicas("local/pair")
    return [server.engine_metric(each, "vllm:num_requests_waiting") for each in replicas]


def _made(server: Stack) -> dict[str, float]:
    """Tokens that each replica has begun or made, by its address."""
    replicas = server.replicas("local/pair")
    return {
        each["base_url"]: server.engine_metric(each, "vllm:generation_tokens_total") for each in replicas
    }


def _ids(target: Path) -> list[str]:
    """Names of the lines that are answered well, sorted; one that stands twice is twice in it."""
    if not target.exists():
        return []
    rows = [json.loads(raw) for raw in target.read_bytes().splitlines(True) if raw.endswith(b"\n")]
    return sorted(row["custom_id"] for row in rows if row["response"]["status_code"] == 200)


def _all() -> list[str]:
    return sorted(f"c{number}" for number in range(LINES))
