"""A running server: one Ray cluster, its control plane, the gateway and the models. Composition root.

Longer than 350 lines: start, control and end of a server share nearly all of its state.
"""

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from actors.environment import prepare_environment
from zoran_ray.access import KeyStore
from zoran_ray.certificates import require_pair, trusting
from zoran_ray.config import Loaded, home_dir, model_from_source
from zoran_ray.control import (
    ControlServer,
    Progress,
    ServerRecord,
    living,
    read_record,
    record_of,
    remove_record,
    write_record,
)
from zoran_ray.engines.catalogue_file import CatalogueFile
from zoran_ray.engines.reachable import arm_rows
from zoran_ray.engines.static import is_static
from zoran_ray.engines.vllm.args import argv, pins
from zoran_ray.engines.vllm.build import installed_build, require_build
from zoran_ray.errors import ConfigError, ZoranError
from zoran_ray.houses import require_own_houses
from zoran_ray.models_file import ModelsFile, ModelSpec
from zoran_ray.privacy import prepare_privacy
from zoran_ray.processes import descendants, end, process_row, require_free, role
from zoran_ray.reasoning.verifiers import load_verifiers

OnProgress = Callable[[str, str], None]

_POLL_S = 0.1
_READY_S = 60.0
_LEAVE_S = 15.0
_LONGEST_RUN_DIR_BYTES = 29


@dataclass(frozen=True, slots=True)
class ReadyInfo:
    """What to tell a person once requests are answered.

    Attributes:
        url: Base URL of the endpoint, without `/v1`.
        models: Public names, those of arms after those of models.
        needs_key: Whether requests must carry an API key.
    """

    url: str
    models: tuple[str, ...]
    needs_key: bool


def serve(loaded: Loaded, on_progress: OnProgress, on_ready: Callable[[ReadyInfo], None]) -> None:
    """Serve until SIGINT, SIGTERM or `zoran stop`; ends everything it started, nothing else.

    Raises:
        ZoranError: It could not start; nothing is left running.
    """
    asyncio.run(Server(loaded, on_progress).run(on_ready))


class Server:
    """One server of one state directory.

    Args:
        loaded: What to run with.
        on_progress: Told stage and detail of the start.
    """

    def __init__(self, loaded: Loaded, on_progress: OnProgress) -> None:
        self._loaded = loaded
        self._settings = loaded.settings
        self._progress = on_progress
        self._state_dir = loaded.settings.state_dir
        self._stop = asyncio.Event()
        self._stopped = asyncio.Event()
        self._started = 0.0
        self._run_dir = _folder_for_sockets()
        self._keeper: Any = None
        self._file: CatalogueFile | None = None
        self._edits: Any = None
        self._chores: list[asyncio.Task[None]] = []
        self._control = ControlServer(
            self._state_dir,
            {
                "status": self._status,
                "models": self._models,
                "load": self._load,
                "unload": self._unload,
                "replicas": self._replicas,
                "memory_reindex": self._memory_reindex,
                "memory_remove": self._memory_remove,
                "agents": self._agents,
                "stop": self._end,
            },
        )

    @property
    def url(self) -> str:
        """Where this server answers, as a client on this machine reaches it."""
        host, port = self._settings.server.host, self._settings.server.port
        reachable = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104
        name = f"[{reachable}]" if ":" in reachable else reachable
        return f"{self._settings.server.scheme}://{name}:{port}"

    @property
    def _catalogue(self) -> ModelsFile:
        """What the models file says now, or said when it was last right."""
        return self._file.current.file if self._file else self._loaded.catalogue

    async def run(self, on_ready: Callable[[ReadyInfo], None]) -> None:
        """Start, serve, stop."""
        loop = asyncio.get_running_loop()
        await self._control.start()
        try:
            self._check()
            for signum in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(signum, self._stop.set)
            await self._unless_stopped(self._start())
            if not self._stop.is_set():
                names = tuple(offer.public_name for offer in self._catalogue.offers)
                on_ready(ReadyInfo(self.url, names, self._needs_key()))
            await self._stop.wait()
        finally:
            self._progress("stopping", self.url)
            await self._leave()
            self._stopped.set()
            await self._control.close()

    # -- start ------------------------------------------------------------------------------

    def _check(self) -> None:
        """Everything that can be known to fail before a process is started."""
        if (given := self._settings.server).tls_cert and given.tls_key:
            require_pair(given.tls_cert, given.tls_key)
        self._run_dir.mkdir(mode=0o700)
        prepare_environment(self._settings, self._run_dir)
        require_own_houses()
        if path := self._loaded.catalogue_path:
            self._file = CatalogueFile(path, home_dir(os.environ))
        self._clean_up_after_a_killed_server()
        for spec in self._loaded.models:
            if not is_static(spec):
                argv(spec, device=require_build().device)
        server, keys = self._settings.server, self._key_store().snapshot().keys
        if not server.loopback and not keys:
            raise ConfigError(
                f"listening on {server.host} needs an API key: run `zoran keys create NAME` first, "
                "or serve on 127.0.0.1.",
                param="server.host",
            )
        prepare_privacy(self._settings.privacy, self._state_dir)
        load_verifiers(self._settings.reasoning.verifiers)
        # A cluster that was joined may have its proxies there already.
        if self._settings.cluster.address is None:
            require_free(server.host, server.port)

    def _clean_up_after_a_killed_server(self) -> None:
        """We hold the state directory, so whoever is on record is dead; its children may not be."""
        if record := read_record(self._state_dir):
            left = [process for each in record.processes if (process := living(each))]
            end(left)
            remove_record(self._state_dir)

    async def _start(self) -> None:
        from actors.cluster import await_control_plane, start_control_plane, start_ray

        self._progress("cluster", "starting Ray")
        # Ray mostly waits for its processes; Serve takes a second to import.
        serve_imported = asyncio.get_running_loop().run_in_executor(None, import_module, "serve_apps.app")
        try:
            start_ray(self._settings, self._run_dir)
        except SystemExit:
            # Ray's own answer to a SIGTERM that comes while it starts.
            self._stop.set()
            return
        await serve_imported
        if self._settings.cluster.address:
            from actors.head_notice import keep_telling

            self._chores.append(asyncio.create_task(keep_telling()))
        # Ray installs handlers of its own.
        for signum in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(signum, self._stop.set)
        self._remember_processes()
        start_control_plane(self._settings)
        from serve_apps.app import deploy_gateway, models_left, start_serve
        from serve_apps.edits import CatalogueEdits
        from serve_apps.models import ModelKeeper, describe_embedded

        self._progress("cluster", "starting Serve")
        await asyncio.to_thread(start_serve, self._settings)
        self._keeper = ModelKeeper(self._settings, describe_embedded, self._catalogue)
        # Where the head was lost, workers have gone on serving: nothing is loaded twice for it.
        self._keeper.find(await asyncio.to_thread(models_left))
        begun = [(spec, await asyncio.to_thread(self._keeper.begin, spec)) for spec in self._loaded.models]
        await asyncio.to_thread(self._keeper.end_left)
        build = installed_build()
        pin = bool(build and build.device == "cpu") and any(
            pins(spec, device="cpu") for spec in self._loaded.models
        )
        await asyncio.to_thread(deploy_gateway, self._settings, pin=pin)
        await asyncio.to_thread(await_control_plane)
        self._chores.append(asyncio.create_task(self._keeper.keep_telling()))
        if self._file is not None:
            self._edits = CatalogueEdits(self._file, self._keeper.follow, self._progress)
            self._chores.append(asyncio.create_task(self._edits.run()))
        async with asyncio.TaskGroup() as group:
            for spec, info in begun:
                group.create_task(self._keeper.bring_up(spec, info, self._progress))
        await self._until_answering()
        self._started = time.time()
        self._remember_processes()

    async def _until_answering(self) -> None:
        """The endpoint answers through its own front door."""
        ready = partial(_answers, self.url + "/ready", self._settings.server.tls_cert)
        try:
            async with asyncio.timeout(_READY_S):
                while not await asyncio.to_thread(ready):
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise ZoranError(
                f"The endpoint {self.url} did not become ready within {_READY_S:g} s."
            ) from None

    async def _unless_stopped(self, work: Any) -> None:
        """Do `work`, but give up as soon as somebody asks to stop; its own errors come alone."""
        task, stop = asyncio.create_task(work), asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
        except BaseExceptionGroup as several:
            raise next(e for e in _flat(several) if not isinstance(e, asyncio.CancelledError)) from several
        finally:
            for each in (task, stop):
                each.cancel()
            await asyncio.gather(task, stop, return_exceptions=True)

    # -- control ----------------------------------------------------------------------------

    async def _status(self, args: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        return {
            "url": self.url,
            "pid": os.getpid(),
            "uptime_s": time.time() - self._started if self._started else 0.0,
            "models": await self._running().rows(),
            "models_file": self._edits.status() if self._edits else None,
            "processes": [row for process in descendants() if (row := process_row(process))],
        }

    async def _models(self, args: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        """What can be asked for, and which arms can be reached from here."""
        keeper = self._running()
        return {
            "models": await keeper.rows(),
            "arms": await arm_rows(keeper.catalogue().arms, os.environ),
            "models_file": self._edits.status() if self._edits else None,
        }

    async def _load(self, args: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        info = await self._running().load(self._spec(args), progress)
        self._remember_processes()
        return {"model": info.name, "generation": info.generation}

    async def _unload(self, args: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        info = await self._running().unload(str(args.get("model", "")), progress)
        return {"model": info.name}

    async def _replicas(self, args: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        """Addresses and secrets of the replicas; the control socket is the owner's alone."""
        return {"replicas": [asdict(replica) for replica in await self._running().replicas()]}

    async def _memory_reindex(self, args: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        """Make all vectors of the memory anew; goes on where whoever asked has left."""
        self._running()
        from actors.memory_reindex import reindex_memory

        return await reindex_memory(self._settings.memory, progress, again=args.get("again") is True)

    async def _memory_remove(self, args: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        """Go on without a shard of the memory that is lost."""
        self._running()
        from actors.memory_client import remove_shard

        return {"shards": list((await remove_shard(str(args.get("shard", "")))).shards)}

    async def _agents(self, args: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        """How the roles' processes are, after one was restarted where that is asked for."""
        self._running()
        from actors.agent_client import agent_states, restart_agent

        if role := args.get("restart"):
            await restart_agent(str(role))
        return {"agents": await agent_states()}

    async def _end(self, args: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        self._stop.set()
        return {"stopping": True}

    def _running(self) -> Any:
        if self._keeper is None:
            raise ZoranError("The server is still starting; try again in a moment.")
        return self._keeper

    def _spec(self, args: Mapping[str, Any]) -> ModelSpec:
        """The model that `load` means: a configured one by name, else one made from its source."""
        name, engine_args = str(args.get("model", "")), dict(args.get("engine_args") or {})
        for spec in self._catalogue.models:
            if name in (spec.name, spec.public_name):
                return spec.model_copy(update={"engine_args": {**spec.engine_args, **engine_args}})
        return model_from_source(name, engine_args, Path.cwd(), Path.home())

    # -- end --------------------------------------------------------------------------------

    async def _leave(self) -> None:
        """End what was started, in order for a while, then by force."""
        mine = descendants()
        for chore in self._chores:
            chore.cancel()
        if self._keeper is not None:
            from serve_apps.app import shut_serve_down

            with contextlib.suppress(Exception):
                async with asyncio.timeout(_LEAVE_S):
                    await asyncio.to_thread(shut_serve_down)
        if mine:
            from actors.cluster import stop_ray

            stop_ray(self._run_dir)
        end([process for process in mine if process.is_running()])
        shutil.rmtree(self._run_dir, ignore_errors=True)
        remove_record(self._state_dir)

    def _remember_processes(self) -> None:
        me = record_of(os.getpid(), "serve")
        assert me is not None
        known = (record_of(process.pid, role(process)) for process in descendants())
        write_record(
            self._state_dir,
            ServerRecord(
                me.pid,
                me.create_time,
                self.url,
                self._started,
                tuple(r for r in known if r),
                str(self._settings.server.tls_cert or ""),
            ),
        )

    def _key_store(self) -> KeyStore:
        return KeyStore(self._state_dir / "keys.sqlite", time.time)

    def _needs_key(self) -> bool:
        return self._key_store().snapshot().version > 0


def _folder_for_sockets() -> Path:
    """A folder that is not there yet; short, whatever TMPDIR is.

    HAProxy takes socket paths of 97 bytes, and Serve puts a node's id of 56 and a file name below this.
    """
    name = f"zoran-{secrets.token_hex(6)}"
    usual = Path(tempfile.gettempdir(), name)
    return usual if len(os.fsencode(usual)) <= _LONGEST_RUN_DIR_BYTES else Path("/tmp", name)  # noqa: S108


def _answers(url: str, certificate: Path | None = None) -> bool:
    # Not through a proxy that the environment names: the address is this machine's.
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    try:
        if certificate is not None:
            handlers.append(urllib.request.HTTPSHandler(context=trusting(certificate)))
        with urllib.request.build_opener(*handlers).open(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError, ConfigError):
        return False


def _flat(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves += _flat(error) if isinstance(error, BaseExceptionGroup) else [error]
    return leaves
