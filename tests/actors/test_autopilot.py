"""What the process of tasks is made of: a model through gateways, limits, tokens, memory, its mailbox."""

import asyncio
import json
import time
from types import SimpleNamespace

import numpy as np
import pytest

from actors.autopilot import AutopilotWorker
from actors.autopilot_office import deployed_office, vectors_of
from actors.fix_memory import SharedFixMemory
from actors.forge_access import ForgeAccess
from actors.gateway_model import TRIES, GatewayModel
from actors.policy_sandbox import PolicySandbox, limits_of, sandbox_settings
from tests.autopilot.pilots import Course, Journal, request_fields
from zoran_ray.autopilot.database import FOLDER
from zoran_ray.batch.outcome import Answered, Failed
from zoran_ray.errors import (
    ConfigError,
    DeadlineExceeded,
    ModelNotFound,
    PermissionDenied,
    Unavailable,
    UpstreamError,
)
from zoran_ray.memory.embedder import EmbedderId
from zoran_ray.memory.record import Layer
from zoran_ray.memory.search import Hit
from zoran_ray.messages import ANYBODY_ID
from zoran_ray.policy import Policy, SandboxRules
from zoran_ray.reasoning.completion import Sampling, Used
from zoran_ray.settings import AutopilotSettings, ForgeSettings, MemorySettings, SandboxSettings, Settings
from zoran_ray.wire import Usage

SAYS = {"choices": [{"message": {"content": "4"}, "finish_reason": "stop"}]}
MESSAGES = [{"role": "user", "content": "2+2"}]


def answered(body=SAYS, status=200, **more):
    return Answered(status, "r", json.dumps(body).encode(), Usage(3, 2), 50_000, **more)


class Gateway:
    """Answers in order; the last one again and again."""

    def __init__(self, *steps):
        self.steps, self.asked = list(steps), []

    async def __call__(self, key_id, path, body, request_id):
        self.asked.append((key_id, path, body, request_id))
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Exception):
            raise step
        if step == "silent":
            await asyncio.Event().wait()
        return step


async def ask(gateway, sampling=None, seconds=20.0):
    model = GatewayModel(gateway, "local/m", "k-ann", "task_1")
    return await model(MESSAGES, sampling or Sampling(), deadline=time.monotonic() + seconds)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr("actors.gateway_model._FIRST_PAUSE_S", 0.0)


async def test_a_model_is_asked_in_the_name_of_the_key():
    gateway = Gateway(answered())
    found = await ask(gateway, Sampling(temperature=0.2, max_tokens=9, stop=("x",), seed=7))
    assert (found.choices[0].text, found.used) == ("4", Used(1, 3, 0, 2, 50_000))
    body = {
        "model": "local/m", "messages": MESSAGES, "temperature": 0.2, "max_tokens": 9, "stop": ["x"],
        "seed": 7,
    }  # fmt: skip
    assert gateway.asked == [("k-ann", "/v1/chat/completions", body, "task_1-1")]


async def test_what_may_help_is_tried_again_and_no_more():
    busy = answered({"error": {"code": "rate_limited", "message": "later"}}, 429, retryable=True)
    assert (await ask(Gateway(busy, Unavailable("no gateway"), answered()))).choices[0].text == "4"
    gateway = Gateway(Unavailable("no gateway"))
    with pytest.raises(Unavailable):
        await ask(gateway)
    assert len(gateway.asked) == TRIES
    gone = Gateway(answered({"error": {"code": "model_not_found", "message": "no m"}}, 404))
    with pytest.raises(ModelNotFound, match="no m"):
        await ask(gone)
    assert len(gone.asked) == 1


@pytest.mark.parametrize("step", [Failed("x", "y"), answered({}), answered([]), answered({"choices": []})])
async def test_an_answer_without_text_is_none(step):
    with pytest.raises(UpstreamError):
        await ask(Gateway(step))


async def test_a_silent_model_is_left_in_time():
    with pytest.raises(DeadlineExceeded):
        await ask(Gateway("silent"), seconds=0.05)


async def test_what_a_call_may_use_covers_what_it_does():
    model = GatewayModel(Gateway(answered()), "local/m", "k", "task_1")
    sampling = Sampling(max_tokens=10, n=2)
    before = model.most(MESSAGES, sampling)
    assert (before.completion_tokens, before.nano_usd) == (20, 0)
    assert before.prompt_tokens > len("2+2")
    await model(MESSAGES, sampling, deadline=time.monotonic() + 20)
    assert model.most(MESSAGES, sampling).nano_usd == round(before.tokens * 10_000)


def test_a_job_sees_those_of_our_variables_that_the_policy_names(monkeypatch):
    monkeypatch.setenv("ZORAN_SEEN", "1")
    monkeypatch.setenv("ZORAN_SECRET", "2")
    monkeypatch.delenv("ZORAN_UNSET", raising=False)
    limits = limits_of(SandboxRules(env=("ZORAN_SEEN", "ZORAN_UNSET")))
    assert dict(limits.environment) == {"ZORAN_SEEN": "1"}


def test_the_policy_bounds_the_sandbox():
    rules = SandboxRules(timeout_s=7, cpus=0.5, processes=20, runtime="runsc", image=f"sha256:{'a' * 64}")
    limits = limits_of(rules)
    assert (limits.timeout_s, limits.cpus, limits.processes, dict(limits.environment)) == (7.0, 0.5, 20, {})
    assert all(
        isinstance(getattr(limits, name), int) for name in ("memory_bytes", "processes", "kept_files")
    )
    found = sandbox_settings(SandboxSettings(), rules)
    assert (found.image, found.runtime) == (rules.image, "runsc")
    own = SandboxSettings(image=f"sha256:{'b' * 64}", runtime="runsc")
    assert sandbox_settings(own, SandboxRules()) == own


def test_the_same_rules_share_a_sandbox(tmp_path):
    sandbox = PolicySandbox(SandboxSettings(), tmp_path)
    strict = Policy(sandbox=SandboxRules(timeout_s=7))
    assert sandbox(Policy()) is sandbox(Policy(mode_max="operator"))
    assert sandbox(Policy()) is not sandbox(strict)


def test_a_token_goes_to_its_host_and_never_in_the_clear(tmp_path):
    (tmp_path / "token").write_text("ghp_file\n")
    forges = {
        "git.example.com": ForgeSettings(token_file=tmp_path / "token"),
        "github.com": ForgeSettings(token_variable="TOKEN"),
        "127.0.0.1:3000": ForgeSettings(token_variable="TOKEN"),
        "gone.example.com": ForgeSettings(token_file=tmp_path / "gone"),
    }
    access = ForgeAccess(forges, {"TOKEN": "ghp_variable"})
    assert access.token("https://git.example.com/a/b") == "ghp_file"
    assert access.token("https://GitHub.com/a/b") == "ghp_variable"
    assert access.token("http://127.0.0.1:3000/a/b") == "ghp_variable"
    for remote in (
        "http://github.com/a/b",
        "https://github.com.evil/a",
        "https://github.com:8443/a/b",
        "file:///a",
    ):
        assert access.token(remote) is None
    with pytest.raises(ConfigError):
        access.token("https://gone.example.com/a/b")
    assert type(access.forge("https://github.com/a/b")).__name__ == "GitHubForge"
    assert type(access.forge("https://git.example.com/a/b")).__name__ == "PlainRemote"


class Memory:
    """Keeps records, and finds them all."""

    def __init__(self):
        self.records, self.queries = [], []

    async def put(self, records):
        self.records += records

    async def search(self, query):
        self.queries.append(query)
        return [Hit(record, 1.0, None, 1.0) for record in self.records]

    async def embedder(self):
        return EmbedderId("hashed", 8)


async def test_a_fix_is_a_proposal_in_the_owners_memory(tmp_path):
    journal, memory = Journal(), Memory()
    fixes = SharedFixMemory(tmp_path, journal, memory, lambda: 5.0)
    assert await fixes.find("t", "sum") == ""  # there is no memory: none is started to look into it
    assert (memory.queries, journal.events) == ([], [])
    await fixes.keep("t", "The sum was off by one.")  # the first fix starts it
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "layout.json").write_text("{}")
    (record,) = memory.records
    assert (record.tenant, record.layer, record.source) == ("t", Layer.LATENT, "agent:autopilot")
    assert record.provenance.journal_leaf == 1
    assert "sum" not in repr(journal.events)
    assert await fixes.find("", "sum") == "The sum was off by one."
    assert (memory.queries[0].tenant, memory.queries[0].where.subjects) == ("-", ("autopilot",))


def test_repositories_are_searched_with_the_memorys_model_in_the_owners_name(monkeypatch):
    asked = []

    def ask(texts, tenant):
        asked.append((texts, tenant))
        return [np.ones(8, "<f4").tobytes()]

    monkeypatch.setattr("actors.gateway_embedder._ask", ask)
    assert vectors_of(MemorySettings()) is None  # hashed n-grams
    embed = vectors_of(MemorySettings(embedder="local/minilm", dimension=8))
    assert embed(SimpleNamespace(owner="acme"))(["def f(): ..."]).shape == (1, 8)
    assert asked == [(["def f(): ..."], "acme")]


@pytest.fixture
async def worker(tmp_path):
    (tmp_path / "state").mkdir(mode=0o700)
    settings = Settings(state_dir=tmp_path / "state", autopilot=AutopilotSettings(model="local/m"))
    made = AutopilotWorker(settings, lambda found: deployed_office(found, {}, Course, Journal()))
    yield made
    await made.stop()


async def test_the_mailbox(worker, tmp_path):
    await worker.resume()
    assert await worker.metrics() == ""
    assert list((tmp_path / "state").iterdir()) == []
    (tmp_path / "repo" / ".git").mkdir(parents=True)
    (tmp_path / "repo" / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    task = await worker.ask("start", "t", ANYBODY_ID, request_fields(str(tmp_path / "repo")))
    assert (task.mode, task.request["model"]) == ("operator", "local/m")
    assert (tmp_path / "state" / FOLDER / "tasks.sqlite").exists()
    assert 'zoran_tasks{mode="advisor",state="failed"} 0.0' in await worker.metrics()
    with pytest.raises(PermissionDenied):
        await worker.ask("start", "t", "k-ann", request_fields(str(tmp_path / "repo")))
    with pytest.raises(AssertionError):
        await worker.ask("stop")
