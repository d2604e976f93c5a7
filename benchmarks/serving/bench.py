"""One benchmark run: its settings, its results, and how a single measurement is taken."""

import json
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.serving.children import StartFailed
from benchmarks.serving.contender import Endpoint, Running, Workplace
from benchmarks.serving.processes import tree, usage
from benchmarks.serving.results import Results, Sample, Start

ROOT = Path(__file__).parents[2]
TOKENS = 64
"""Tokens of every answer: `ignore_eos` and `max_tokens` make all answers equally long."""
_CLOSING_S = 150.0
"""For a window that waits for slow answers, and for those still running when it closes."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How long and how often.

    Attributes:
        rounds: Everything is started anew this often.
        turns: Measurements of each contender at each concurrency in each round.
        seconds: Length of one measurement's window, after `warmup_s`.
    """

    rounds: int = 3
    turns: int = 2
    seconds: float = 6.0
    warmup_s: float = 1.5
    streams: tuple[int, ...] = (1, 8, 32)
    connections: tuple[int, ...] = (1, 16, 64, 256)
    memory_connections: int = 256
    soak_minutes: float = 5.0


class Bench:
    """Takes measurements and keeps them."""

    def __init__(self, settings: Settings, work: Workplace, results: Results, path: Path) -> None:
        self.settings = settings
        self.work = work
        self.results = results
        self._path = path

    def say(self, text: str) -> None:
        """Progress, for whoever watches."""
        print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)

    def save(self) -> None:
        self.results.save(self._path)

    @contextmanager
    def trying(self, contender: str) -> Iterator[None]:
        """A contender that does not start or breaks is noted, and the run goes on without it."""
        try:
            yield
        except (StartFailed, OSError, subprocess.SubprocessError, KeyError) as error:
            reason = f"{type(error).__name__}: {error}"
            self.say(f"{contender} failed: {reason}")
            self.results.failures.append({"contender": contender, "reason": reason[:2000]})
        self.save()

    def note_start(self, running: Running, round_: int) -> None:
        """Keep how long a start took and which processes it made."""
        held = [asdict(use) for use in usage(process.pid for process in tree(running.child.pid))]
        start = Start(running.endpoint.name, round_, running.first_token_s, held)
        self.results.starts.append(start)
        self.say(
            f"{start.contender}: first token after {start.first_token_s:.1f} s, "
            f"{len(held)} processes, {start.rss_bytes / 2**20:.0f} MiB"
        )

    def measure(
        self,
        part: str,
        endpoint: Endpoint,
        concurrency: int,
        *,
        stream: bool,
        at: tuple[int, int],
        cores: Collection[int] = (),
        name: str | None = None,
    ) -> None:
        """One run of the load generator, kept as a sample.

        Args:
            part: Which table it belongs to.
            endpoint: Whom to ask.
            concurrency: Connections.
            stream: Whether answers are streamed.
            at: Round and turn.
            cores: Cores of the load generator; empty: all.
            name: Contender, if not the endpoint's name.
        """
        job = {
            "url": endpoint.chat,
            "headers": dict(endpoint.headers),
            "body": chat_body(endpoint.model, stream=stream),
            "concurrency": concurrency,
            "warmup_s": self.settings.warmup_s,
            "seconds": self.settings.seconds,
            "at_least": 2 * concurrency,
            "expect_tokens": TOKENS,
            "watch": {label: list(pids) for label, pids in endpoint.groups().items()},
            "cores": sorted(cores),
        }
        contender, kind = name or endpoint.name, "stream" if stream else "json"
        figures = run_load(job, self.settings.warmup_s + self.settings.seconds + _CLOSING_S)
        self.results.samples.append(Sample(part, contender, kind, concurrency, *at, figures))
        self.say(
            f"{contender} {kind} ×{concurrency}: {figures['tokens_per_s']:.0f} tok/s, "
            f"{figures['requests_per_s']:.1f} requests/s, {figures['errors']} errors"
        )


def chat_body(model: str, *, stream: bool) -> dict[str, Any]:
    """The question every contender gets; its number keeps conversations apart."""
    question = f"chunks={TOKENS} Question {{n}}: what is 17+25?"
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": question}]}
    body |= {"max_tokens": TOKENS, "temperature": 0, "ignore_eos": True}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def run_load(job: dict[str, Any], deadline_s: float) -> dict[str, Any]:
    """Run the load generator in a process of its own.

    Raises:
        OSError: It failed; carries what it said.
        subprocess.TimeoutExpired: It took longer than `deadline_s` seconds and was ended.
    """
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.serving.load"],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        timeout=deadline_s,
        cwd=ROOT,
        check=False,
    )
    if answer.returncode:
        raise OSError(f"load generator: {answer.stderr.strip()[-1000:]}")
    figures: dict[str, Any] = json.loads(answer.stdout)
    return figures
