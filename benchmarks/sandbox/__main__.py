"""`python -m benchmarks.sandbox`: medians of one empty job on a real Docker daemon, after a warm-up."""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from zoran_ray.sandbox import Backend, Job, JobRequest
from zoran_ray.sandbox.image import build
from zoran_ray.sandbox.labels import deployment_of

_FILES = {f"src/module_{n}.py": b"x = 1\n" * 200 for n in range(40)}
"""A small repository: 40 files with 1.2 kB each."""


def overhead_s(backend: Backend, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of whole jobs less their program, and seconds from start to end."""
    less, whole = [], []
    for _ in range(rounds):
        began = time.perf_counter()
        result = Job(backend, JobRequest(_FILES, ("true",), 30.0)).run()
        took_s = time.perf_counter() - began
        assert result.exit_status == 0, result.stderr
        whole.append(took_s)
        less.append(took_s - result.wall_s)
    return less, whole


def main() -> None:
    """Print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--docker-host")
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        image = build(Path(folder), given.docker_host)
        backend = Backend(deployment_of(Path(folder)), image.digest, given.docker_host)
        overhead_s(backend, 3)
        less, whole = overhead_s(backend, given.rounds)
    centiles = statistics.quantiles(less, n=20)
    told = {
        "rounds": given.rounds,
        "overhead_p50_s": round(statistics.median(less), 3),
        "overhead_p95_s": round(centiles[-1], 3),
        "whole_p50_s": round(statistics.median(whole), 3),
        "image_bytes": image.size_bytes,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
