"""How roles are made from the settings: what may be read, run and fetched is what the operator said."""

import asyncio

import pytest

from actors.agent_host import AgentHost
from actors.agent_roles import maker
from tests.reasoning.scripted import Scripted, asking, question
from zoran_ray.agents.messages import Heard, Job
from zoran_ray.errors import ConfigError, InvalidRequest, PermissionDenied
from zoran_ray.memory.embedder import HashedNgrams
from zoran_ray.rag import Folder, Index, index_folder
from zoran_ray.settings import AgentSettings, Settings

PICTURE = {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}


def settings(tmp_path, **agents):
    return Settings(state_dir=tmp_path / "state", agents=AgentSettings(**agents))


def job(**parameters):
    return Job("job-1", ({"role": "user", "content": "2+2"},), 30.0, parameters=parameters)


async def answered(role, messages, say=lambda prompt, call: "Answer: 4"):
    model = Scripted(say)
    return await role.answer(messages, asking(model)), model


async def test_the_reasoner_thinks_as_the_settings_say_and_the_request_may_say_otherwise(tmp_path):
    make = maker("reasoner", settings(tmp_path, strategy="self-consistency"))
    usual, _ = await answered(await make(job()), question("2+2"))
    asked, _ = await answered(await make(job(strategy="cot")), question("2+2"))
    assert usual.detail["strategy"] == "self-consistency"
    assert asked.detail["strategy"] == "cot"
    with pytest.raises(InvalidRequest):
        await make(job(strategy="nonsense"))


async def test_the_coder_runs_nothing_unless_allowed(tmp_path):
    role = await maker("coder", settings(tmp_path))(job())
    answer, _ = await answered(role, question("Write code."))
    assert answer.detail["ran"] is False


async def test_vision_fetches_nothing_unless_allowed(tmp_path):
    role = await maker("vision", settings(tmp_path))(job())
    with pytest.raises(PermissionDenied, match="network"):
        await answered(role, [{"role": "user", "content": [PICTURE]}])


def test_a_retriever_without_a_folder_says_what_to_set(tmp_path):
    with pytest.raises(ConfigError, match=r"agents\.folder"):
        maker("retriever", settings(tmp_path))


async def test_a_retriever_answers_from_the_index_of_its_folder(tmp_path):
    root = tmp_path / "docs"
    root.mkdir()
    (root / "a.md").write_text("# Ports\nThe gateway listens on port 8080.\n")
    found = settings(tmp_path, folder=root)
    role = await maker("retriever", found)(job())
    with pytest.raises(ConfigError, match="zoran rag index"):
        await answered(role, question("Which port does the gateway listen on?"))
    place = index_folder(found.state_dir, root)
    place.parent.mkdir(parents=True)
    index = Index(place, lambda made: HashedNgrams(found.memory.dimension))
    index.update(Folder(root).texts())
    index.close()
    asked = question("Which port does the gateway listen on?")
    answer, model = await answered(role, asked, lambda prompt, call: "8080 [a.md:2]")
    assert answer.detail["citations"] == [{"path": "a.md", "first": 2, "last": 2}]
    (root / "a.md").write_text("# Ports\nAnother.\n")
    answer, model = await answered(role, asked, lambda prompt, call: "8080 [a.md:2]")
    assert answer.detail["found"] is False, "what changed since is not shown"
    assert model.prompts == []


def test_there_is_no_other_role(tmp_path):
    with pytest.raises(ConfigError, match="reasoner, coder, retriever, vision"):
        maker("cook", settings(tmp_path))


async def test_a_host_answers_that_it_is_well_and_takes_jobs(tmp_path):
    host = AgentHost("reasoner", settings(tmp_path))
    await host.begin(job())
    heard = await host.hear("job-1")
    assert heard != Heard()
    assert (await host.well())["jobs"] == 1
    await host.stop("job-1")
    assert (await host.well())["jobs"] == 0
    host._sweeping.cancel()
    await asyncio.gather(host._sweeping, return_exceptions=True)
