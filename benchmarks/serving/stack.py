"""Starts and stops every contender. The one place that knows how each of them is started and addressed.

What it takes for granted of zoran: `zoran serve` reads `ZORAN_*`; `zoran keys create NAME --json` prints
`{"key": …}`; the control operation `replicas` answers `{"replicas": [{model, base_url, secret, pids}]}`;
a model whose `source` is an address is a running server, and no engine is started for it.
"""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from benchmarks.serving.children import Child, StartFailed, free_port
from benchmarks.serving.contender import Endpoint, Running, Workplace, grouped, started
from zoran_ray.control import Control
from zoran_ray.engines.vllm.guard import SECRET_HEADER
from zoran_ray.engines.vllm.pinning import plan_cores

HERE = Path(__file__).parent
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "VLLM_CPU_KVCACHE_SPACE": "1",
}
ENGINE_ARGS: Mapping[str, Any] = {
    "dtype": "float32",
    "max_model_len": 2048,
    "max_num_seqs": 64,
    "block_size": 32,
    "gpu_memory_utilization": 0.3,
}
"""The same for every engine."""


@contextmanager
def noop(work: Workplace) -> Iterator[Running]:
    """The back end that does nothing."""
    port = free_port()
    argv = [sys.executable, str(HERE / "noop.py"), "--port", str(port)]
    child = Child("noop", argv, {}, work.folder)
    with started(child, Endpoint("bare no-op", f"http://127.0.0.1:{port}", "noop")) as running:
        yield replace(running, endpoint=replace(running.endpoint, groups=lambda: {"backend": (child.pid,)}))


@contextmanager
def zoran(
    work: Workplace,
    name: str,
    *,
    pin: bool = True,
    backend: str | None = None,
    arms: int = 1,
    gateways: int = 1,
    replicas: int = 1,
) -> Iterator[Running]:
    """The whole stack with a key, limits and metrics on.

    Args:
        work: Folders.
        name: For results.
        pin: Give the engine cores of its own, if there are some; by default it goes where there is room.
        backend: Base URL of a back end that takes the place of an engine.
        arms: Models that all stand for it, for the router to choose among.
        gateways: Processes that serve requests.
        replicas: Of the engine.
    """
    port, state = free_port(), work.folder / f"state-{secrets.token_hex(4)}"
    models = [_engine_model(work, pin, replicas)] if backend is None else _static_models(backend, arms)
    models_file = work.folder / f"{state.name}.yaml"
    models_file.write_text(yaml.safe_dump({"models": models}))
    env = {**QUIET, "ZORAN_STATE_DIR": str(state), "ZORAN_SERVER__PORT": str(port)}
    env["ZORAN_MODELS_FILE"] = str(models_file)
    env["ZORAN_SERVER__GATEWAYS"] = str(gateways)
    command = str(Path(sys.executable).with_name("zoran"))
    headers = {"authorization": f"Bearer {_new_key(command, {**os.environ, **env})}"}
    name_of_model = f"local/{models[0]['name']}"
    child = Child(state.name, [command, "serve"], env, work.folder)
    with started(child, Endpoint(name, f"http://127.0.0.1:{port}", name_of_model, headers)) as running:
        if backend is not None:
            yield running
            return
        replica = Control(state).call("replicas", 10.0)["replicas"][0]
        pids = frozenset(replica["pids"])
        secret = {SECRET_HEADER.decode(): replica["secret"]}
        direct = Endpoint(f"{name}: direct", replica["base_url"], name_of_model, secret)
        direct = replace(direct, groups=lambda: {"engine": grouped(child, pids)["engine"]})
        endpoint = replace(running.endpoint, groups=lambda: grouped(child, pids))
        yield replace(running, endpoint=endpoint, direct=direct)


def _engine_model(work: Workplace, pin: bool, replicas: int) -> dict[str, Any]:
    return {
        "name": "bench",
        "source": str(work.model),
        "engine_args": dict(ENGINE_ARGS),
        "env": QUIET,
        "pin_cores": sorted(plan_cores(os.sched_getaffinity(0), "auto").engine) if pin else "auto",
        "scaling": {"min_replicas": replicas, "max_replicas": replicas},
    }


def _static_models(backend: str, count: int) -> list[dict[str, Any]]:
    """A server somebody else runs, under one name or more; no engine, so nothing to pin."""
    names = ["noop", *(f"noop-{number}" for number in range(2, count + 1))]
    static = {"source": backend, "engine_args": {"max_num_seqs": 1024}, "pin_cores": "off"}
    return [{"name": name, **static} for name in names]


def _new_key(command: str, env: Mapping[str, str]) -> str:
    """A key with limits that are counted on every request and never reached."""
    limits = ["--requests-per-min", "100000000", "--tokens-per-min", "1000000000"]
    answer = subprocess.run(
        [command, "keys", "create", "bench", "--json", *limits],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if answer.returncode:
        raise StartFailed(f"zoran keys create: {answer.stderr.strip()}")
    return str(json.loads(answer.stdout)["key"])


@contextmanager
def bare_vllm(work: Workplace) -> Iterator[Running]:
    """vLLM's own server, started as its documentation says."""
    port = free_port()
    argv = [sys.executable, "-m", "vllm.entrypoints.launchers.api_server.entry", "--model", str(work.model)]
    argv += ["--served-model-name", "bench", "--host", "127.0.0.1", "--port", str(port)]
    argv += ["--disable-uvicorn-access-log"]
    argv += [f"--{name.replace('_', '-')}={value}" for name, value in ENGINE_ARGS.items()]
    child = Child("bare-vllm", argv, QUIET, work.folder)
    with started(child, Endpoint("bare vLLM", f"http://127.0.0.1:{port}", "bench")) as running:
        yield running


@contextmanager
def ray_llm(work: Workplace, *, direct_streaming: bool) -> Iterator[Running]:
    """Ray Serve LLM 2.60 in its own environment, workers at nice 0 (its default of 15 would slow it)."""
    port = free_port()
    env = {**QUIET, "RAY_worker_niceness": "0"}
    if direct_streaming:
        # Direct streaming needs HAProxy, which then asks the router for a replica and goes there itself.
        env |= {"RAY_SERVE_LLM_ENABLE_DIRECT_STREAMING": "1", "RAY_SERVE_ENABLE_HA_PROXY": "1"}
    name = f"Ray Serve LLM, {'direct streaming' if direct_streaming else 'default'}"
    python = work.peers / "ray" / "bin" / "python"
    _require(python)
    argv = [str(python), str(HERE / "peers" / "ray_llm.py"), "--model", str(work.model), "--name", "bench"]
    argv += ["--port", str(port), "--engine-args", json.dumps(dict(ENGINE_ARGS))]
    child = Child("ray-llm-direct" if direct_streaming else "ray-llm", argv, env, work.folder)
    with started(child, Endpoint(name, f"http://127.0.0.1:{port}", "bench")) as running:
        yield running


@contextmanager
def litellm(work: Workplace, backend: str) -> Iterator[Running]:
    """LiteLLM's proxy, one worker, in front of the no-op back end."""
    port, key = free_port(), f"sk-{secrets.token_hex(8)}"
    env = {**QUIET, "NOOP_BASE_URL": f"{backend}/v1", "LITELLM_MASTER_KEY": key}
    env |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    program = work.peers / "litellm" / "bin" / "litellm"
    _require(program)
    argv = [str(program), "--config", str(HERE / "peers" / "litellm.yaml"), "--num_workers", "1"]
    argv += ["--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"]
    child = Child("litellm", argv, env, work.folder)
    headers = {"authorization": f"Bearer {key}"}
    with started(child, Endpoint("LiteLLM proxy", f"http://127.0.0.1:{port}", "noop", headers)) as running:
        endpoint = replace(
            running.endpoint, groups=lambda: {"gateway": tuple(p.pid for p in child.processes())}
        )
        yield replace(running, endpoint=endpoint)


def _require(program: Path) -> None:
    if not program.exists():
        raise StartFailed(f"{program.parent.parent.name} is not installed; run benchmarks/serving/peers.sh")
