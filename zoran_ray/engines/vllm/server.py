"""One vLLM engine with vLLM's own HTTP application on a private port, in this process.

Knows nothing of Ray: `serve_apps.vllm_replica` gives it an actor.
"""

import asyncio
import contextlib
import os
import secrets
import socket
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import psutil
import uvicorn

from zoran_ray.engines.vllm import args as engine_args
from zoran_ray.engines.vllm.architecture import know_architecture
from zoran_ray.engines.vllm.build import require_build
from zoran_ray.engines.vllm.guard import Guard
from zoran_ray.engines.vllm.memory import require_memory
from zoran_ray.engines.vllm.pinning import CorePlan, born_on, compute_threads, pin, plan_cores
from zoran_ray.engines.vllm.undertaker import watch_over
from zoran_ray.errors import EngineError, ModelLoadError, ZoranError
from zoran_ray.listening import handles
from zoran_ray.messages import ReplicaLoad
from zoran_ray.models_file import ModelSpec

_SERVER_START_S = 30.0
_SERVER_EXIT_S = 2.0


class _Uvicorn(uvicorn.Server):
    """Leaves the process's signal handlers alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


class EngineServer:
    """Starts, serves, drains and ends one engine.

    Args:
        spec: The model and how vLLM runs it.
        host: Private address to listen on.
        cores: Cores this process may use.
    """

    def __init__(
        self, spec: ModelSpec, *, host: str = "127.0.0.1", cores: frozenset[int] | None = None
    ) -> None:
        self.spec = spec
        self.secret = secrets.token_urlsafe(32)
        self._host = host
        self._cores = cores or frozenset(os.sched_getaffinity(0))
        self._plan = CorePlan()
        self._engine: Any = None
        self._guard: Guard | None = None
        self._server: _Uvicorn | None = None
        self._serving: asyncio.Task[None] | None = None
        self._meters: list[Any] = []
        self._undertaker: subprocess.Popen[bytes] | None = None
        self.base_url = ""
        self.tasks: tuple[str, ...] = ()

    async def start(self) -> None:
        """Load the model and listen.

        Raises:
            EngineMissing: No vLLM here.
            ConfigError: vLLM refuses an argument.
            ModelLoadError: The model cannot be loaded; says why.
        """
        device = require_build().device
        self._undertaker = watch_over(os.getpid())
        os.environ.update(self.spec.env)
        if device == "cpu":
            os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
        parsed = engine_args.parse(self.spec, device=device)
        path = engine_args.model_path(self.spec)
        require_memory(self.spec, path, device=device)
        asked = self.spec.pin_cores if engine_args.pins(self.spec, device=device) else "off"
        self._plan = plan_cores(self._cores, asked)
        if device == "cpu":
            know_architecture(Path(path))
        if engine_args.in_one_process(self.spec, device=device):
            # Its process computes; what Ray has set is meant for this one.
            threads = self.spec.env.get("OMP_NUM_THREADS", compute_threads(self._plan, self._cores))
            os.environ["OMP_NUM_THREADS"] = str(threads)
        try:
            with born_on(self._plan.engine, then=self._plan.rest):
                await self._start_engine(parsed)
        except ZoranError:
            raise
        except Exception as failure:
            raise _load_error(self.spec, failure) from failure
        pin((pid for pid in self.pids() if pid != os.getpid()), self._plan.engine)
        await self._listen(parsed)

    async def _start_engine(self, parsed: Namespace) -> None:
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.usage.usage_lib import UsageContext
        from vllm.v1.engine.async_llm import AsyncLLM

        from zoran_ray.engines.vllm.load import LoadMeter

        def meter(vllm_config: Any, engine_index: int = 0) -> LoadMeter:
            made = LoadMeter(vllm_config, engine_index)
            self._meters.append(made)
            return made

        self._engine = AsyncLLM.from_engine_args(
            AsyncEngineArgs.from_cli_args(parsed),
            usage_context=UsageContext.OPENAI_API_SERVER,
            stat_loggers=[meter],
        )
        self.tasks = tuple(await self._engine.get_supported_tasks())

    async def _listen(self, parsed: Namespace) -> None:
        from vllm.entrypoints.launchers.api_server.app_state import init_app_state
        from vllm.entrypoints.launchers.app import build_app

        app = build_app(parsed, self.tasks, self._engine.model_config)
        await init_app_state(self._engine, app.state, parsed, self.tasks)
        self._guard = Guard(app, self.secret, lambda: self.dead)
        sock = socket.create_server((self._host, 0), backlog=2048)
        self.base_url = f"http://{self._host}:{sock.getsockname()[1]}"
        config = uvicorn.Config(
            self._guard,
            log_level="warning",
            log_config=None,
            access_log=False,
            timeout_keep_alive=75,
            lifespan="on",
            server_header=False,
            date_header=False,
        )
        self._server = _Uvicorn(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=handles(sock)))
        async with asyncio.timeout(_SERVER_START_S):
            while not self._server.started:
                if self._serving.done():
                    self._serving.result()
                    raise ModelLoadError(f"model '{self.spec.name}': its private HTTP server did not start")
                await asyncio.sleep(0.01)

    @property
    def capacity(self) -> int:
        """Requests the engine runs at once."""
        return int(self._engine.vllm_config.scheduler_config.max_num_seqs)

    @property
    def max_model_len(self) -> int:
        """Context length in tokens."""
        return int(self._engine.model_config.max_model_len)

    @property
    def dead(self) -> bool:
        """Whether vLLM has lost one of its processes; what it holds will never finish."""
        return self._engine is not None and bool(self._engine.errored)

    def load(self) -> ReplicaLoad:
        """Running and waiting requests, KV-cache use and recent time to first token."""
        unfinished = int(self._engine.output_processor.get_num_unfinished_requests())
        return self._meters[0].load(unfinished) if self._meters else ReplicaLoad(running=unfinished)

    def unfinished(self) -> int:
        """Requests inside the guard or the engine."""
        held = int(self._engine.output_processor.get_num_unfinished_requests()) if self._engine else 0
        return max(held, self._guard.inflight if self._guard else 0)

    def pids(self) -> tuple[int, ...]:
        """This process and vLLM's children of it."""
        me = psutil.Process()
        return (me.pid, *(child.pid for child in me.children(recursive=True)))

    async def check_health(self) -> None:
        """Raises: EngineError once the engine or its HTTP server is dead."""
        if self._serving is None or self._serving.done():
            raise EngineError("the replica's private HTTP server has ended")
        if self.dead:
            # Not vLLM's own exception: Serve's controller would import vLLM, half a minute, to read it.
            raise EngineError("vLLM has lost one of its processes")

    def refuse_new(self) -> None:
        """From now on new requests are sent elsewhere; running ones go on."""
        if self._guard:
            self._guard.draining = True

    async def drain(self, timeout_s: float) -> int:
        """Refuse new requests and wait for the running ones.

        Returns:
            How many were still running when `timeout_s` had passed.
        """
        self.refuse_new()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while (left := self.unfinished()) and not self.dead and loop.time() < deadline:
            await asyncio.sleep(0.05)
        return left

    async def stop(self) -> None:
        """End the HTTP server and every engine process."""
        if self._server and self._serving:
            self._server.should_exit = True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SERVER_EXIT_S):
                    await asyncio.shield(self._serving)
            self._server.force_exit = True
        if self._engine:
            # Blocking on purpose: vLLM's output task would take its engine's end for a crash.
            self._engine.shutdown(timeout=0)
            self._engine = None


def _load_error(spec: ModelSpec, failure: Exception) -> ModelLoadError:
    """vLLM's failure in one sentence; its engine process says the cause on stderr only."""
    cause = _root_cause() or " ".join(str(failure).split())
    return ModelLoadError(f"model '{spec.name}' ({spec.source}) could not be loaded: {cause[:600]}")


def _root_cause() -> str:
    """The last exception line the engine's processes wrote to a stderr that is a file."""
    path = Path(f"/proc/self/fd/{sys.stderr.fileno()}").resolve()
    if not path.is_file():
        return ""
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - 65536))
        lines = log.read().decode(errors="replace").splitlines()
    tail = (line.split("] ", 1)[-1].strip() for line in reversed(lines))
    named = (t for t in tail if t.split(":", 1)[0].endswith(("Error", "Exception")) and ": " in t)
    return next((t for t in named if "Engine core initialization failed" not in t), "")
