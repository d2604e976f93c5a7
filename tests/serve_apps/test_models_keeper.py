"""Loading, replacing and unloading models against a real registry; only Serve is played."""

import asyncio
import contextlib
import warnings

import pytest

from actors.registry import ReplicaRegistry
from zoran_ray.errors import DeadlineExceeded, InvalidRequest, ModelLoadError, ModelNotFound
from zoran_ray.messages import ReplicaInfo, ReplicaLoad
from zoran_ray.models_file import ModelsFile, ModelSpec, ScalingSettings
from zoran_ray.offers import ArmSpec
from zoran_ray.settings import Settings

with warnings.catch_warnings():
    # Ray's own use of pydantic, at import.
    warnings.simplefilter("ignore", DeprecationWarning)
    from serve_apps import models
    from serve_apps.app import describe


class Serve:
    """Brings replicas up and down as Serve does, in its own time; their port is a real one.

    A model whose `engine_args` say `fails` reports why; one that says `hangs` never comes up.
    """

    def __init__(self, port):
        self.port = port
        self.registry = ReplicaRegistry()
        self.apps, self.deleted = {}, []
        self.drained = asyncio.Event()
        self.drained.set()
        self._tasks = set()
        self._loop = asyncio.get_running_loop()

    def deploy(self, spec, info, settings):
        self.apps[info.app] = spec
        if "hangs" not in spec.engine_args:
            self._later(self._come_up(spec, info))

    def delete(self, app):
        self.deleted.append(app)
        self._later(self._go_down(app))

    async def call(self, method, *args):
        return await getattr(self.registry, method)(*args)

    def _later(self, work):
        # The keeper deploys from a thread: Serve's calls block.
        self._loop.call_soon_threadsafe(self._start, work)

    def _start(self, work):
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _come_up(self, spec, info):
        if "fails" in spec.engine_args:
            error = ModelLoadError("too large")
            await self.registry.report_failure(info.name, info.generation, error)
            return
        base_url, load = f"http://127.0.0.1:{self.port}", ReplicaLoad(running=2, waiting=1)
        await self.registry.heartbeat(
            ReplicaInfo(
                info.app, info.name, info.generation, base_url, "s", 8, 64, ("generate",), load=load
            )
        )

    async def _go_down(self, app):
        await self.drained.wait()
        await self.registry.leave(app)


@pytest.fixture
async def port():
    writers = []
    server = await asyncio.start_server(lambda reader, writer: writers.append(writer), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for writer in writers:
        writer.close()


@pytest.fixture
async def serve(port, monkeypatch):
    serve = Serve(port)
    monkeypatch.setattr(models, "call_registry", serve.call)
    monkeypatch.setattr(models, "deploy_model", serve.deploy)
    monkeypatch.setattr(models, "delete_app", serve.delete)
    monkeypatch.setattr(models, "_POLL_S", 0.002)
    monkeypatch.setattr(models, "_TELL_S", 0.002)
    return serve


@pytest.fixture
def keeper(serve):
    return models.ModelKeeper(Settings(), lambda: "An embedded model.")


@pytest.fixture
def told():
    return []


@pytest.fixture
def progress(told):
    return lambda stage, detail: told.append(stage)


def spec(name="m", source="org/model", **fields):
    return ModelSpec(name=name, source=source, **{"load_timeout_s": 10, "drain_timeout_s": 10, **fields})


async def served(serve):
    return (await serve.registry.fleet()).models


async def test_a_model_comes_up(keeper, serve, told, progress):
    info = await keeper.load(spec(source="embedded"), progress)
    assert told == ["loading", "ready"]
    assert await served(serve) == {"local/m": info}
    assert info.description == "An embedded model."
    assert [r.generation for r in await keeper.replicas()] == [info.generation]


async def test_requests_may_wait_for_it_from_the_beginning(keeper, serve, progress):
    info = keeper.begin(spec(engine_args={"hangs": 1}))
    bringing = asyncio.create_task(keeper.bring_up(spec(engine_args={"hangs": 1}), info, progress))
    while not await served(serve):
        await asyncio.sleep(0)
    assert await served(serve) == {"local/m": info}
    bringing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await bringing
    assert not await served(serve)
    assert serve.deleted == [info.app]


async def test_the_same_again_is_nothing_new(keeper, serve, told, progress):
    first = await keeper.load(spec(), progress)
    assert await keeper.load(spec(), progress) == first
    assert len(serve.apps) == 1
    assert told[-1] == "ready"


async def test_other_settings_replace_without_a_gap(keeper, serve, told, progress):
    old = await keeper.load(spec(), progress)
    loading = asyncio.create_task(keeper.load(spec(engine_args={"max_num_seqs": 4}), progress))
    while not loading.done():
        # At every moment the generation that is named has a replica that takes requests.
        fleet = await serve.registry.fleet()
        assert any(r.generation == fleet.models["local/m"].generation for r in fleet.replicas)
        await asyncio.sleep(0)
    new = await loading
    assert new.generation != old.generation
    assert await served(serve) == {"local/m": new}
    assert serve.deleted == [old.app]
    assert told[-2:] == ["draining", "ready"]


async def test_a_model_that_cannot_be_loaded(keeper, serve, progress):
    with pytest.raises(ModelLoadError, match="too large"):
        await keeper.load(spec(engine_args={"fails": 1}), progress)
    assert await served(serve) == {}
    assert serve.deleted == list(serve.apps)
    # Nothing is left that would stand in the way of a better try.
    assert (await keeper.load(spec(), progress)).name == "local/m"


async def test_what_was_served_before_still_is(keeper, serve, progress):
    old = await keeper.load(spec(), progress)
    with pytest.raises(ModelLoadError):
        await keeper.load(spec(engine_args={"fails": 1}), progress)
    assert await served(serve) == {"local/m": old}
    assert old.app not in serve.deleted


async def test_loading_has_an_end(keeper, serve, progress):
    with pytest.raises(DeadlineExceeded, match=r"within 0\.02 s \(load_timeout_s\)"):
        await keeper.load(spec(engine_args={"hangs": 1}, load_timeout_s=0.02), progress)
    assert await served(serve) == {}
    assert serve.deleted == list(serve.apps)


async def test_one_change_of_a_model_at_a_time(keeper, serve, progress):
    loading = asyncio.create_task(keeper.load(spec(engine_args={"hangs": 1}), progress))
    while not serve.apps:
        await asyncio.sleep(0)
    for change in (keeper.load(spec(), progress), keeper.unload("m", progress)):
        with pytest.raises(InvalidRequest, match="right now"):
            await change
    await keeper.load(spec("other"), progress)
    loading.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await loading
    await keeper.load(spec(), progress)


@pytest.mark.parametrize("name", ["m", "local/m"])
async def test_unloading_waits_for_the_drain(keeper, serve, told, progress, name):
    info = await keeper.load(spec(), progress)
    serve.drained.clear()
    unloading = asyncio.create_task(keeper.unload(name, progress))
    while info.app not in serve.deleted:
        await asyncio.sleep(0)
    # No new request goes there, and the replica is still at work.
    assert await served(serve) == {}
    assert len(await keeper.replicas()) == 1
    assert not unloading.done()
    serve.drained.set()
    assert await unloading == info
    assert await keeper.replicas() == ()


async def test_unloading_what_is_not_there(keeper, progress):
    with pytest.raises(ModelNotFound, match="zoran models"):
        await keeper.unload("m", progress)


async def test_a_model_that_may_sleep_is_there_at_once(keeper, serve, progress):
    sleepy = spec(scaling=ScalingSettings(min_replicas=0), engine_args={"hangs": 1})
    info = await keeper.load(sleepy, progress)
    assert await served(serve) == {"local/m": info}
    (row,) = await keeper.rows()
    assert (row["state"], row["replicas"]) == ("scaled to zero", 0)


ROW = ("name", "state", "replicas", "running", "waiting", "source", "description")


async def test_rows_for_people(keeper, serve, progress):
    await keeper.load(spec(description="Mine."), progress)
    keeper.begin(spec("next", engine_args={"hangs": 1}))
    ready, loading = await keeper.rows()
    assert ready["usd_per_million_input"] == 0
    assert {field: ready[field] for field in ROW} == {
        "name": "local/m", "state": "ready", "replicas": 1, "running": 2, "waiting": 1,
        "source": "org/model", "description": "Mine.",
    }  # fmt: skip
    assert (loading["name"], loading["state"]) == ("local/next", "loading")


async def test_a_server_of_somebody_else(keeper, serve, port, progress):
    info = await keeper.load(spec(source=f"http://127.0.0.1:{port}"), progress)
    (replica,) = await keeper.replicas()
    assert (replica.replica_id, replica.generation) == ("m-static", info.generation)
    other = await keeper.load(
        spec(source=f"http://127.0.0.1:{port}", engine_args={"max_num_seqs": 3}), progress
    )
    (replica,) = await keeper.replicas()
    assert (replica.capacity, replica.generation) == (3, other.generation)
    assert not serve.apps
    assert not serve.deleted


async def test_a_registry_that_restarts_learns_everything_again(keeper, serve, port, progress):
    info = await keeper.load(spec(), progress)
    static = await keeper.load(spec("s", f"http://127.0.0.1:{port}"), progress)
    telling = asyncio.create_task(keeper.keep_telling())
    serve.registry = ReplicaRegistry()
    while len(await keeper.replicas()) < 1:
        await asyncio.sleep(0.001)
    assert await served(serve) == {"local/m": info, "local/s": static}
    telling.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await telling


ARM = ArmSpec(name="ollama/x", provider="ollama", upstream="x", context_tokens=9, data_goes="local")


async def catalogue(serve):
    return (await serve.registry.watch_catalogue("", 0, 10)).file


async def test_gateways_hear_of_what_is_served_and_of_all_arms(keeper, serve, progress):
    assert keeper.follow(ModelsFile(arms=(ARM,))) == ()
    await keeper.load(spec(env={"HF_TOKEN": "hf_canary"}, engine_args={"max_num_seqs": 4}), progress)
    found = await catalogue(serve)
    assert [model.public_name for model in found.models] == ["local/m"]
    assert found.arms == (ARM,)
    assert "hf_canary" not in repr(found)
    await keeper.unload("m", progress)
    assert (await catalogue(serve)).models == ()


async def test_a_new_price_is_no_new_generation(keeper, serve, progress):
    info = await keeper.load(spec(), progress)
    dearer = spec(usd_per_million_input=2.0, description="Mine.")
    assert keeper.follow(ModelsFile(models=(dearer,))) == ()
    await keeper.tell()
    assert (await catalogue(serve)).models[0].usd_per_million_input == 2
    told = (await served(serve))["local/m"]
    assert (told.generation, told.description) == (info.generation, "Mine.")
    assert (await keeper.load(dearer, progress)).generation == info.generation
    assert len(serve.apps) == 1


async def test_an_edit_of_how_models_run_waits_for_a_load(keeper, serve, progress):
    await keeper.load(spec(), progress)
    wider = spec(engine_args={"max_num_seqs": 4}, usd_per_million_input=2.0)
    assert keeper.follow(ModelsFile(models=(wider, spec("more")))) == ("m", "more")
    assert len(serve.apps) == 1
    assert keeper.catalogue().models[0].usd_per_million_input == 2
    await keeper.load(wider, progress)
    assert len(serve.apps) == 2
    # Nothing of this edit is left to be said at the next.
    assert keeper.follow(ModelsFile(models=(wider, spec("more")), arms=(ARM,))) == ()


async def test_an_edit_while_a_model_comes_up(keeper, serve, progress):
    info = keeper.begin(spec(engine_args={"hangs": 1}))
    bringing = asyncio.create_task(keeper.bring_up(spec(engine_args={"hangs": 1}), info, progress))
    while not await served(serve):
        await asyncio.sleep(0)
    keeper.follow(ModelsFile(models=(spec(description="New."),)))
    bringing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await bringing
    assert await served(serve) == {}


async def test_a_model_may_not_have_the_name_of_an_arm(keeper, serve, progress):
    keeper.follow(ModelsFile(arms=(ARM,)))
    with pytest.raises(InvalidRequest, match="'ollama/x' is the name of an arm"):
        await keeper.load(spec("ollama/x"), progress)
    assert not serve.apps


async def test_a_registry_that_restarts_learns_the_catalogue_again(keeper, serve):
    keeper.follow(ModelsFile(arms=(ARM,)))
    telling = asyncio.create_task(keeper.keep_telling())
    assert (await catalogue(serve)).arms == (ARM,)
    serve.registry = ReplicaRegistry()
    assert (await catalogue(serve)).arms == (ARM,)
    telling.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await telling


def test_the_embedded_model_in_one_line():
    assert "right on unseen questions" in models.describe_embedded()


def test_what_is_said_of_a_model():
    adapters = ["sql=/models/sql", {"name": "law", "path": "/models/law"}]
    first = describe(spec(engine_args={"lora_modules": adapters}), "")
    assert (first.name, first.aliases, first.source) == ("local/m", ("m", "sql", "law"), "org/model")
    again = describe(spec(), "")
    assert again.generation != first.generation
    assert again.app != first.app


async def test_a_server_after_another_goes_on_with_what_runs(keeper, serve, progress):
    before = await keeper.load(spec(), progress)
    after = models.ModelKeeper(Settings(), lambda: "")
    after.find([before.generation, "0123456789abcdef"])
    info = after.begin(spec())
    assert info.generation == before.generation
    assert list(serve.apps) == [before.app], "nothing was deployed again"
    after.end_left()
    assert serve.deleted == ["model-0123456789abcdef"]
    assert after.begin(spec(name="other")).generation != before.generation


async def test_a_server_after_another_replaces_what_is_to_run_otherwise(keeper, serve, progress):
    before = await keeper.load(spec(), progress)
    after = models.ModelKeeper(Settings(), lambda: "")
    after.find([before.generation])
    info = after.begin(spec(engine_args={"max_num_seqs": 4}))
    assert info.generation != before.generation
    after.end_left()
    assert serve.deleted == [before.app]
