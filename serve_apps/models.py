"""Which models are served: loads, replaces and unloads them while requests run.

A change of settings never touches running replicas: a new generation is brought up beside the old one,
new requests go to it once it is ready, and the old one drains. What a model costs and can do is no such
setting: that is told to callers anew as soon as the models file says it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from actors.names import call_registry
from serve_apps.app import delete_app, deploy_model, describe, model_app
from zoran_ray.engines.offering import described, left_alone, offer_row, offered, runs_alike
from zoran_ray.engines.static import is_static, probe
from zoran_ray.errors import DeadlineExceeded, InvalidRequest, ModelNotFound
from zoran_ray.messages import FleetSnapshot, ModelInfo, ReplicaInfo
from zoran_ray.models_file import ModelsFile, ModelSpec
from zoran_ray.pocket import card
from zoran_ray.settings import Settings

log = logging.getLogger("zoran.models")

OnProgress = Callable[[str, str], None]

_POLL_S = 0.1
_TELL_S = 1.0


@dataclass(frozen=True, slots=True)
class _Served:
    spec: ModelSpec
    info: ModelInfo


class ModelKeeper:
    """The operator's side of the registry: says what is to be served, again and again.

    Args:
        settings: Where the cluster is.
        describe_embedded: One line about the embedded model.
        file: What is said of models, and the arms; nothing if not given.
    """

    def __init__(
        self, settings: Settings, describe_embedded: Callable[[], str], file: ModelsFile | None = None
    ) -> None:
        self._settings = settings
        self._describe_embedded = describe_embedded
        self._file = file or ModelsFile.model_construct()
        self._served: dict[str, _Served] = {}
        self._busy: set[str] = set()
        self._left: set[str] = set()

    def find(self, left: Iterable[str]) -> None:
        """Know of generations that a server before has left running. What `begin` wants just so goes on
        running; `end_left` ends the others."""
        self._left = set(left)

    def end_left(self) -> None:
        """Take down what a server before has left and nobody began; its replicas drain first."""
        for generation in self._left:
            delete_app(model_app(generation))
        self._left.clear()

    def begin(self, spec: ModelSpec) -> ModelInfo:
        """Deploy a model's next generation; where there is none yet, requests for it may wait already."""
        served = self._as_told(spec, describe(spec, "", self._left))
        if served.info.generation in self._left:
            self._left.remove(served.info.generation)
        elif not is_static(spec):
            deploy_model(spec, served.info, self._settings)
        self._served.setdefault(served.info.name, served)
        return served.info

    def follow(self, file: ModelsFile) -> tuple[str, ...]:
        """Offer models and arms as this file says from now on; how models run is left as it is.

        Returns:
            Models that run, or do not, as the file said before, by bare name.
        """
        before, self._file = self._file, file
        # In place: a model that is begun meanwhile, in a thread, must not get lost.
        for name, each in list(self._served.items()):
            self._served[name] = self._as_told(each.spec, each.info)
        return left_alone(before, file, [each.spec for each in self._served.values()])

    async def load(self, spec: ModelSpec, progress: OnProgress) -> ModelInfo:
        """Serve this model, replacing an earlier generation without cutting a stream.

        Raises:
            InvalidRequest: It is being loaded or unloaded already, or an arm has its name.
            ModelLoadError: It cannot be loaded; what was served before still is.
        """
        if any(arm.name == spec.name for arm in self._file.arms):
            raise InvalidRequest(
                f"'{spec.name}' is the name of an arm; give the model another.", param="name"
            )
        served = self._served.get(spec.public_name)
        if served and runs_alike(served.spec, spec):
            progress("ready", f"{spec.public_name} is served with these settings already")
            return served.info
        with self._alone(spec.public_name):
            return await self._bring_up(spec, await asyncio.to_thread(self.begin, spec), progress)

    async def bring_up(self, spec: ModelSpec, info: ModelInfo, progress: OnProgress) -> ModelInfo:
        """Wait for a generation that was begun and switch to it. Raises: as `load` does."""
        with self._alone(info.name):
            return await self._bring_up(spec, info, progress)

    async def _bring_up(self, spec: ModelSpec, info: ModelInfo, progress: OnProgress) -> ModelInfo:
        await self.tell()
        progress("loading", f"{info.name} from {spec.source}")
        try:
            await self._until_ready(spec, info)
        except BaseException:
            if (begun := self._served.get(info.name)) and begun.info.generation == info.generation:
                del self._served[info.name]
            self._remove(spec, info)
            with contextlib.suppress(Exception):
                await self.tell()
            raise
        before = self._served.get(info.name)
        self._served[info.name] = self._as_told(spec, info)
        await self.tell()
        if before and before.info.generation != info.generation:
            progress("draining", f"the previous generation of {info.name}")
            self._remove(before.spec, before.info)
        progress("ready", info.name)
        return info

    async def unload(self, name: str, progress: OnProgress) -> ModelInfo:
        """Serve this model no more; its replicas finish what they run.

        Raises:
            ModelNotFound: It is not served.
        """
        served = self._served.get(name) or self._served.get(f"local/{name}")
        if served is None:
            raise ModelNotFound(f"'{name}' is not served here; `zoran models` lists what is.")
        with self._alone(served.info.name):
            del self._served[served.info.name]
            await self.tell()
            progress("draining", served.info.name)
            self._remove(served.spec, served.info)
            await self._until_gone(served)
        return served.info

    async def tell(self) -> None:
        """Repeat to the registry what is to be served, and that static replicas are there."""
        await call_registry("put_models", {name: served.info for name, served in self._served.items()})
        await call_registry("put_catalogue", self.catalogue())
        for served in list(self._served.values()):
            if is_static(served.spec) and (info := await probe(served.spec, served.info.generation)):
                await call_registry("heartbeat", info)

    def catalogue(self) -> ModelsFile:
        """What may be asked for now; holds no secret."""
        return offered(self._file, (served.spec for served in self._served.values()))

    async def keep_telling(self) -> None:
        """`tell` once a second until cancelled, so that a restarted registry learns everything again."""
        while True:
            with contextlib.suppress(Exception):
                await self.tell()
            await asyncio.sleep(_TELL_S)

    async def replicas(self) -> tuple[ReplicaInfo, ...]:
        """All replicas the registry knows."""
        fleet: FleetSnapshot = await call_registry("fleet")
        return fleet.replicas

    async def rows(self) -> list[dict[str, Any]]:
        """One row for each model, for people and `--json`."""
        replicas = await self.replicas()
        return [_row(served, replicas) for served in self._served.values()]

    def _as_told(self, spec: ModelSpec, info: ModelInfo) -> _Served:
        """A model with what the file says of it now."""
        spec = described(spec, self._file)
        text = self._describe_embedded() if spec.source == "embedded" else ""
        return _Served(spec, replace(info, description=spec.description or text))

    def _remove(self, spec: ModelSpec, info: ModelInfo) -> None:
        if not is_static(spec):
            delete_app(info.app)

    async def _until_ready(self, spec: ModelSpec, info: ModelInfo) -> None:
        if spec.scaling.min_replicas == 0 and not spec.scaling.initial_replicas:
            return
        try:
            async with asyncio.timeout(spec.load_timeout_s):
                while not await self._is_there(spec, info):
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise DeadlineExceeded(
                f"model '{spec.name}' was not ready within {spec.load_timeout_s:g} s (load_timeout_s)."
            ) from None

    async def _is_there(self, spec: ModelSpec, info: ModelInfo) -> bool:
        """Whether this generation has a replica. Raises: why it has none, if one has said so."""
        if is_static(spec):
            return await probe(spec, info.generation) is not None
        try:
            if any(r.generation == info.generation for r in await self.replicas()):
                return True
            failure = await call_registry("failure", info.name, info.generation)
        except Exception as silence:
            # A registry that is being restarted will be told everything again; the next look decides.
            log.debug("registry does not answer: %s", type(silence).__name__)
            return False
        if failure:
            raise failure
        return False

    async def _until_gone(self, served: _Served) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(served.spec.drain_timeout_s + _TELL_S):
                while any(r.generation == served.info.generation for r in await self.replicas()):
                    await asyncio.sleep(_POLL_S)

    @contextlib.contextmanager
    def _alone(self, name: str) -> Any:
        if name in self._busy:
            raise InvalidRequest(f"'{name}' is being loaded or unloaded right now; try again afterwards.")
        self._busy.add(name)
        try:
            yield
        finally:
            self._busy.discard(name)


def describe_embedded() -> str:
    """What the embedded model is, from its card."""
    known = card()
    worst = min(known.accuracy.values())
    size = f"{known.parameters / 1e6:.1f} M parameters"
    return f"Embedded: {known.knows} {size}, at least {100 * worst:.1f} % right on unseen questions."


def _row(served: _Served, replicas: tuple[ReplicaInfo, ...]) -> dict[str, Any]:
    own = [r for r in replicas if r.model == served.info.name]
    ready = sum(r.state == "ready" and r.generation == served.info.generation for r in own)
    idle = "scaled to zero" if served.spec.scaling.min_replicas == 0 else "loading"
    return offer_row(served.spec) | {
        "name": served.info.name,
        "state": "ready" if ready else idle,
        "replicas": len(own),
        "running": sum(r.load.running for r in own),
        "waiting": sum(r.load.waiting for r in own),
        "description": served.info.description,
    }
