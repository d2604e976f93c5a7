"""What one interactive client notices of a batch in the background on the same engine."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.batch.contenders import ROOT, Server, asking
from benchmarks.batch.workload import Workload
from benchmarks.serving.bench import TOKENS, chat_body, run_load
from benchmarks.serving.contender import Endpoint
from zoran_ray.batch.turn import TURN_HEADER

ALONE, LATER, LIKE_OTHERS = "no batch", "`zoran batch run`", "the same, not stepping back"
CONDITIONS = (ALONE, LATER, LIKE_OTHERS)
_LINES = 20_000
_GRACE_S = 60.0
_ANSWER_S = 300.0
"""Longest wait for one answer: beside a batch that does not step back a slow model takes a minute."""
_ANSWERS_S = 900.0


def interactive(
    server: Server, endpoint: Endpoint, workload: Workload, work: Path, cores: list[int], seconds: float
) -> Iterator[dict[str, Any]]:
    """Time to the first token and to the last under each condition; one streaming client, one at a time."""
    source = work / "background.jsonl"
    Workload(workload.name, _LINES, workload.tokens).write(source, endpoint.model, 10**6)
    for number, condition in enumerate(CONDITIONS):
        target = work / f"background-{number}.jsonl"
        commands = {
            LATER: server.batch_run(source, target, "256"),
            LIKE_OTHERS: asking(
                source, target, endpoint.base_url, {**endpoint.headers, TURN_HEADER: ""}, "256"
            ),
        }
        with _background(commands.get(condition), target):
            figures = run_load(_job(endpoint, cores, seconds), _ANSWERS_S + seconds)
        yield {
            "workload": workload.name,
            "condition": condition,
            **{name: figures[name] for name in ("ttft_ms", "latency_ms", "requests_per_s", "errors")},
        }


def _job(endpoint: Endpoint, cores: list[int], seconds: float) -> dict[str, Any]:
    return {
        "url": endpoint.chat,
        "headers": dict(endpoint.headers),
        "body": chat_body(endpoint.model, stream=True),
        "concurrency": 1,
        "warmup_s": 1.0,
        "seconds": seconds,
        "at_least": 5,
        "timeout_s": _ANSWER_S,
        "expect_tokens": TOKENS,
        "watch": {},
        "cores": cores,
    }


@contextlib.contextmanager
def _background(command: list[str] | None, target: Path) -> Iterator[None]:
    """A batch that has begun to answer; ended as Ctrl-C does."""
    if command is None:
        yield
        return
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            until = time.monotonic() + _GRACE_S
            while not (target.exists() and target.stat().st_size) and time.monotonic() < until:
                time.sleep(0.1)
            yield
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
