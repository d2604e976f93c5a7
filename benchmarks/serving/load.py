"""The load generator: a closed loop of `concurrency` keep-alive connections, in a process of its own.

    echo '{"url": "http://127.0.0.1:9000/v1/chat/completions", "body": {…}, "concurrency": 8}' \\
        | python -m benchmarks.serving.load

Each connection sends its next request when the last answer has ended. After `warmup_s` a window opens;
everything is counted by the moment it happens inside the window: an SSE event when it arrives, a request
when it ends (also one that began before, or long answers would be left out). When the window closes,
running answers are read to their end, uncounted, so that the next measurement finds an idle server.

- `events_per_s`: SSE events with data. `tokens_per_s`: events_per_s × tokens per event, where the ratio
  comes from whole answers and the engine's own `usage` (under load it puts several tokens in one event).
- `ttft_ms`: request written → first event with text. `gap_ms`: between arrivals of events of one stream.
- `cpu_s`: what the groups of processes named in `watch` used during the window.
- An error is any status but 200, a lost connection, a timeout, an error event, a stream without `[DONE]`,
  or other than `expect_tokens` tokens. Errors are counted by kind, the first answer of
  each kind is quoted, and they are in none of the other figures.

The job comes over stdin, so that no key is on a command line. Client: benchmarks/serving/http1.py, uvloop.
"""

import asyncio
import itertools
import json
import os
import re
import sys
import time
from array import array
from collections import Counter
from contextlib import suppress
from typing import Any

import uvloop
from pydantic import BaseModel, ConfigDict, Field

from benchmarks.serving.http1 import Connection, request_bytes
from benchmarks.serving.processes import cpu_seconds
from benchmarks.serving.sse import StreamReader
from benchmarks.serving.stats import percentiles

_NUMBER = b"{n}"
_FIRST_BYTES = 300
_TOKENS = re.compile(rb'"completion_tokens"\s*:\s*(\d+)')


class Job(BaseModel):
    """What to ask, of whom, how hard and how long."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    url: str
    body: dict[str, Any]
    """Sent as JSON. Twelve digits that differ in every request replace `{n}` in it."""
    headers: dict[str, str] = {}
    concurrency: int = Field(ge=1)
    warmup_s: float = Field(default=1.0, ge=0)
    seconds: float = Field(default=5.0, gt=0)
    """Length of the window."""
    at_least: int = Field(default=0, ge=0)
    """Keep the window open until so many answers have ended, if that takes longer …"""
    longest_s: float = Field(default=60.0, gt=0)
    """… but no longer than this."""
    requests: int | None = Field(default=None, ge=1)
    """Close the window earlier, when so many answers have ended."""
    timeout_s: float = Field(default=60.0, gt=0)
    """Longest one answer may take."""
    expect_tokens: int | None = None
    cores: tuple[int, ...] = ()
    """Cores this process may use; empty: all."""
    watch: dict[str, tuple[int, ...]] = {}


class Tally:
    """What happened inside the window."""

    def __init__(self) -> None:
        self.open = False
        self.latency_s = array("d")
        self.ttft_s = array("d")
        self.gap_s = array("d")
        self.events = 0
        self.whole_events = 0
        self.whole_tokens = 0
        self.errors: Counter[str] = Counter()
        self.first_words: dict[str, str] = {}

    @property
    def ended(self) -> int:
        return len(self.latency_s)


class Answer:
    """One answer being read: notes the time of everything that arrives."""

    __slots__ = ("_first_noted", "_last_s", "_reader", "_start_s", "_tally", "body")

    def __init__(self, tally: Tally, streaming: bool) -> None:
        self._tally = tally
        self._reader = StreamReader() if streaming else None
        self._start_s = time.perf_counter()
        self._last_s: float | None = None
        self._first_noted = False
        self.body = b""

    def take(self, piece: bytes) -> None:
        """The next piece of the body."""
        reader, tally = self._reader, self._tally
        if reader is None:
            self.body += piece
            return
        if not self.body:
            self.body = piece
        now_s = time.perf_counter()
        events = reader.feed(piece, now_s)
        if not tally.open or not events:
            return
        tally.events += events
        if self._last_s is not None:
            tally.gap_s.append(now_s - self._last_s)
        self._last_s = now_s
        if reader.first_text_s is not None and not self._first_noted:
            tally.ttft_s.append(reader.first_text_s - self._start_s)
            self._first_noted = True

    def finish(self, status: int, expect_tokens: int | None) -> str | None:
        """Note the end of the answer; returns what was wrong with it, or None."""
        reader = self._reader
        tokens = reader.tokens if reader else _completion_tokens(self.body)
        if status != 200:
            return f"status {status}"
        if reader and reader.failed:
            return "error event"
        if reader and not reader.done:
            return "truncated stream"
        if expect_tokens is not None and tokens != expect_tokens:
            return f"{tokens} of {expect_tokens} tokens"
        if self._tally.open:
            self._tally.latency_s.append(time.perf_counter() - self._start_s)
            self._tally.whole_events += reader.events if reader else 0
            self._tally.whole_tokens += tokens or 0
        return None


def _completion_tokens(body: bytes) -> int | None:
    match = _TOKENS.search(body)
    return int(match[1]) if match else None


class Generator:
    """Runs one job."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._tally = Tally()
        self._numbers = itertools.count(os.getpid() * 1_000_000)
        self._template = json.dumps(job.body, separators=(",", ":")).encode()
        self._streaming = bool(job.body.get("stream"))
        self._running = True
        self._enough = asyncio.Event()

    async def run(self) -> dict[str, Any]:
        """The figures; see the module's docstring."""
        job, tally = self._job, self._tally
        workers = [asyncio.create_task(self._worker()) for _ in range(job.concurrency)]
        await asyncio.sleep(job.warmup_s)
        watch = {**job.watch, "generator": (os.getpid(),)}
        watched = [pid for pids in watch.values() for pid in pids]
        cpu_before, began = cpu_seconds(watched), time.perf_counter()
        tally.open = True
        await self._window(began)
        tally.open = False
        seconds, cpu_after = time.perf_counter() - began, cpu_seconds(watched)
        self._running = False
        await asyncio.wait(workers, timeout=job.timeout_s + 5)
        for worker in workers:
            worker.cancel()
        # Ray ends idle workers when it likes: what is gone did nothing for us.
        spent = {pid: cpu_after[pid] - cpu_before[pid] for pid in cpu_before if pid in cpu_after}
        cpu_s = {label: sum(spent.get(pid, 0.0) for pid in pids) for label, pids in watch.items()}
        return self._figures(seconds, cpu_s)

    async def _window(self, began: float) -> None:
        job = self._job
        with suppress(TimeoutError):
            await asyncio.wait_for(self._enough.wait(), job.seconds)
        while self._tally.open and self._tally.ended < job.at_least:
            if time.perf_counter() - began > job.longest_s:
                return
            await asyncio.sleep(0.05)

    async def _worker(self) -> None:
        connection: Connection | None = None
        while self._running:
            try:
                if connection is None or not connection.usable:
                    connection = await Connection.open(self._job.url)
                problem = await self._one(connection)
            except TimeoutError:
                problem = "timeout"
            except OSError as error:
                problem = (
                    "connection refused" if isinstance(error, ConnectionRefusedError) else "connection lost"
                )
            if problem is not None:
                if self._tally.open:
                    self._tally.errors[problem] += 1
                # A server that refuses everything must not be hammered into looking fast.
                await asyncio.sleep(0.05)
            elif self._tally.ended == self._job.requests:
                self._tally.open = False
                self._enough.set()
        if connection is not None:
            connection.close()

    async def _one(self, connection: Connection) -> str | None:
        job = self._job
        body = self._template
        if _NUMBER in body:
            body = body.replace(_NUMBER, b"%012d" % next(self._numbers))
        answer = Answer(self._tally, self._streaming)
        status = await connection.exchange(
            request_bytes(job.url, job.headers, body), answer.take, job.timeout_s
        )
        problem = answer.finish(status, job.expect_tokens)
        if problem is not None:
            self._tally.first_words.setdefault(problem, answer.body[:_FIRST_BYTES].decode(errors="replace"))
        return problem

    def _figures(self, seconds: float, cpu_s: dict[str, float]) -> dict[str, Any]:
        tally = self._tally
        events_per_s = tally.events / seconds
        per_event = tally.whole_tokens / tally.whole_events if tally.whole_events else 0.0
        return {
            "seconds": seconds,
            "requests": tally.ended,
            "errors": sum(tally.errors.values()),
            "error_kinds": dict(tally.errors),
            "error_answers": {kind: tally.first_words.get(kind, "") for kind in tally.errors},
            "requests_per_s": tally.ended / seconds,
            "latency_ms": _in_ms(tally.latency_s),
            "events": tally.events,
            "events_per_s": events_per_s,
            "tokens_per_s": events_per_s * per_event if self._streaming else tally.whole_tokens / seconds,
            "ttft_ms": _in_ms(tally.ttft_s),
            "gap_ms": _in_ms(tally.gap_s),
            "cpu_s": cpu_s,
        }


def _in_ms(samples_s: "array[float]") -> dict[str, float]:
    return {name: value * 1000 for name, value in percentiles(samples_s).items()}


def main() -> None:
    """Job in on stdin, figures out on stdout, both JSON."""
    job = Job.model_validate_json(sys.stdin.read())
    if job.cores:
        os.sched_setaffinity(0, job.cores)

    async def run() -> dict[str, Any]:
        return await Generator(job).run()

    json.dump(uvloop.run(run()), sys.stdout)


if __name__ == "__main__":
    main()
