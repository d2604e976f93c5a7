"""Who answers the prompts. Each is given a workload and a turn, and says what it made in which time."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.batch.workload import Workload, answers
from benchmarks.serving.contender import Running
from benchmarks.serving.stack import ENGINE_ARGS, QUIET

ROOT = Path(__file__).parents[2]
DEADLINE_S = 300.0
_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Made:
    """One run through the prompts.

    Attributes:
        tokens: Made.
        seconds: From the first request to the last answer on the disk; of `LLM.generate`, its own time.
        digest: A hash of each answer's text.
    """

    tokens: int
    seconds: float
    digest: list[str]

    @property
    def tokens_per_s(self) -> float:
        return self.tokens / self.seconds


class Offline:
    """`LLM.generate`, held still while others are measured. Use it in a `with`.

    Args:
        model: Its folder.
        work: Folder of logs.
        pinned: Whether its cores are divided like those of a replica.
    """

    def __init__(self, model: Path, work: Path, *, pinned: bool = True) -> None:
        argv = [sys.executable, "-m", "benchmarks.batch.offline", "--model", str(model)]
        argv += ["--engine-args", json.dumps(dict(ENGINE_ARGS)), *(["--pin"] if pinned else [])]
        with (work / "offline.log").open("ab") as log:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                env={**os.environ, **QUIET},
            )

    def __enter__(self) -> "Offline":
        self._answer()
        suspend(self._tree())
        return self

    def __exit__(self, *_: object) -> None:
        tree = self._tree()
        resume(tree)
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            for process in tree:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            self._process.wait()

    def run(self, workload: Workload, turn: int) -> Made:
        """One call of `generate`."""
        job = {"prompts": workload.texts(turn), "sampling": workload.sampling()}
        assert self._process.stdin is not None
        resume(self._tree())
        print(json.dumps(job), file=self._process.stdin, flush=True)
        told = self._answer()
        suspend(self._tree())
        return Made(told["tokens"], told["seconds"], told["digest"])

    def _answer(self) -> Mapping[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise OSError("LLM.generate ended by itself; offline.log says why")
        told: Mapping[str, Any] = json.loads(line)
        return told

    def _tree(self) -> list[psutil.Process]:
        me = psutil.Process(self._process.pid)
        return [me, *me.children(recursive=True)]


class Server:
    """A running server of ours, asked in three ways.

    Args:
        running: With its replica's own server.
        work: Folder of input and output files.
        cores: Cores of whoever asks; empty: all.
        concurrency: Of `zoran batch run` and of the direct asking.
    """

    def __init__(self, running: Running, work: Path, cores: Sequence[int], concurrency: int) -> None:
        assert running.direct is not None
        self._running, self._direct = running, running.direct
        self._work = work
        self._taskset = ["taskset", "-c", ",".join(map(str, cores))] if cores else []
        self._concurrency = str(concurrency)

    def engines(self) -> list[psutil.Process]:
        """vLLM's own processes, without the actor that holds them."""
        found = map(psutil.Process, self._running.endpoint.groups().get("engine", ()))
        return [each for each in found if _is_vllm(each)]

    def command_line(self, workload: Workload, turn: int) -> Made:
        """`zoran batch run`; without the start of its interpreter, as the others have none either."""
        source, target = self._files(workload, turn)
        return _told(self.batch_run(source, target, self._concurrency), target)

    def batch_run(self, source: Path, target: Path, concurrency: str) -> list[str]:
        """Its command line."""
        endpoint = self._running.endpoint
        key = endpoint.headers["authorization"].removeprefix("Bearer ")
        argv = [
            str(Path(sys.executable).with_name("zoran")),
            "batch",
            "run",
            str(source),
            "-o",
            str(target),
        ]
        argv += ["--base-url", endpoint.base_url, "--api-key", key, "--concurrency", concurrency, "--json"]
        return [*self._taskset, *argv]

    def direct(self, workload: Workload, turn: int) -> Made:
        """The same asking at the replica's own server."""
        source, target = self._files(workload, turn)
        argv = asking(source, target, self._direct.base_url, self._direct.headers, self._concurrency)
        return _told([*self._taskset, *argv], target)

    def batch_api(self, workload: Workload, turn: int) -> Made:
        """`/v1/batches`: from its creation until its output file can be read."""
        source, target = self._files(workload, turn)
        endpoint = self._running.endpoint
        with httpx.Client(base_url=f"{endpoint.base_url}/v1", headers=endpoint.headers, timeout=60) as http:
            part = {"file": ("in.jsonl", source.read_bytes())}
            given = http.post("/files", files=part, data={"purpose": "batch"}).raise_for_status().json()
            began = time.monotonic()
            new = {"input_file_id": given["id"], "endpoint": "/v1/completions", "completion_window": "24h"}
            batch = http.post("/batches", json=new).raise_for_status().json()
            while batch["status"] != "completed" and time.monotonic() - began < DEADLINE_S:
                time.sleep(_POLL_S)
                batch = http.get(f"/batches/{batch['id']}").raise_for_status().json()
            seconds = time.monotonic() - began
            target.write_bytes(http.get(f"/files/{batch['output_file_id']}/content").content)
        tokens, digest = answers(target)
        return Made(tokens, seconds, digest)

    def _files(self, workload: Workload, turn: int) -> tuple[Path, Path]:
        source, target = self._work / f"in-{turn}.jsonl", self._work / f"out-{turn}.jsonl"
        workload.write(source, self._running.endpoint.model, turn)
        target.unlink(missing_ok=True)
        return source, target


def asking(source: Path, target: Path, url: str, headers: Mapping[str, str], concurrency: str) -> list[str]:
    """Command line of `benchmarks.batch.direct`."""
    argv = [sys.executable, "-m", "benchmarks.batch.direct", str(source), str(target), "--url", url]
    return [*argv, "--headers", json.dumps(dict(headers)), "--concurrency", concurrency]


def ray_data(peers: Path, model: Path, work: Path, workload: Workload, turn: int) -> Made:
    """Ray Data's processor in an environment of its own; its engine is started for each run."""
    job = {
        "model": str(model),
        "prompts": workload.texts(turn),
        "sampling": workload.sampling(),
        "engine_args": dict(ENGINE_ARGS),
    }
    python = peers / "ray" / "bin" / "python"
    if not python.exists():
        raise OSError("Ray Data's environment is missing; run benchmarks/serving/peers.sh")
    with (work / "ray-data.log").open("ab") as log:
        done = subprocess.run(
            [str(python), str(Path(__file__).with_name("ray_data.py"))],
            input=json.dumps(job),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            timeout=DEADLINE_S,
            cwd=work,
            env={**os.environ, **QUIET, "RAY_worker_niceness": "0", "PYTHONPATH": ""},
            check=False,
        )
    if done.returncode:
        raise OSError("Ray Data failed; ray-data.log says why")
    told = json.loads(done.stdout.splitlines()[-1])
    return Made(told["tokens"], told["seconds"], [])


def _told(argv: list[str], target: Path) -> Made:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=DEADLINE_S, cwd=ROOT, check=False)
    if done.returncode:
        raise OSError(f"{argv[0]}: {done.stderr[-1000:]}")
    tokens, digest = answers(target)
    return Made(tokens, json.loads(done.stdout)["took_s"], digest)


def suspend(processes: Sequence[psutil.Process]) -> None:
    """Hold them still: an idle engine's processes look for work again and again."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()


def resume(processes: Sequence[psutil.Process]) -> None:
    """Let them go on."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()


def _is_vllm(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and "VLLM::" in " ".join(process.cmdline())
    except psutil.Error:
        return False
