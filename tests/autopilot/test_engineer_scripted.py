"""The scripted model over the real wire, and what an engineer makes of each of its tricks."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import openai
import pytest

from benchmarks.autopilot.bugs import Bug
from benchmarks.autopilot.scripted_model import BEHAVIOURS, CORRECT, FALSE, BugScript
from benchmarks.reasoning.model import ServedModel
from tests.autopilot.here import Here
from tests.autopilot.one_bug import one_bug
from tests.autopilot.recorded import Recorded
from tests.reasoning.scripted import asking
from zoran_ray.autopilot.demo import DEMO_MESSAGE, DEMO_MODEL, demo_repository, demo_script
from zoran_ray.autopilot.engineer import PLANNING, AttemptOutcome, Engineer, EngineerSettings, Job, Work
from zoran_ray.autopilot.git import Author, Repository
from zoran_ray.autopilot.scripted_model import LABEL, PREFIX, Reply, Script, ScriptedServer
from zoran_ray.client import AsyncClient
from zoran_ray.errors import InvalidRequest
from zoran_ray.policy import PolicyEngine, read_policy, shipped_policy_file

POLICY = PolicyEngine(read_policy(shipped_policy_file()))
Item = TypeVar("Item")


@pytest.fixture
def bug(tmp_path: Path) -> Bug:
    return one_bug(tmp_path)


def served(script: Script, names: tuple[str, ...], use: Callable[[str], Coroutine[Any, Any, Item]]) -> Item:
    """What a client makes of a server of its own."""

    async def whole() -> Item:
        async with ScriptedServer(script, names) as address:
            return await use(address)

    return asyncio.run(whole())


def mended(folder: Path, script: Script, name: str, message: str, tries: int, wall_s: float = 60.0) -> Work:
    """What an engineer makes of a repository with a model behind the wire."""
    repository = Repository(folder / "bare", f"file://{folder / 'work'}")
    _, base = repository.fetch()

    async def use(address: str) -> Work:
        async with AsyncClient(address.removesuffix("/v1"), "none") as client:
            ask = asking(ServedModel(client, f"{PREFIX}{name}"), wall_s=wall_s)
            engineer = Engineer(
                ask, repository, POLICY, Recorded(Here(folder / "runs")), EngineerSettings(tries=tries)
            )
            return await engineer.work(Job(message, base, Author("zoran", "z@example.com"), 1_700_000_000))

    return served(script, (name,), use)


def test_a_bug_is_a_repository_without_its_answer(bug: Bug, tmp_path: Path) -> None:
    assert bug.write(tmp_path / "work") == bug.write(tmp_path / "again")
    said = "".join((tmp_path / "work" / path).read_text() for path in bug.files())
    assert "return n + 2" in said
    assert "n * 2" not in said
    assert "def test_double():" in said
    with pytest.raises(InvalidRequest, match="not empty"):
        bug.write(tmp_path / "work")


@pytest.mark.parametrize("name", [*CORRECT, "malformed-then-right"])
def test_right_answers_are_proven(bug: Bug, tmp_path: Path, name: str) -> None:
    bug.write(tmp_path / "work")
    work = mended(tmp_path, BugScript([bug]), name, bug.message, tries=2)
    assert work.ended == "proven"
    assert work.used.tokens > 0


@pytest.mark.parametrize("name", FALSE)
def test_no_trick_is_proven(bug: Bug, tmp_path: Path, name: str) -> None:
    bug.write(tmp_path / "work")
    work = mended(tmp_path, BugScript([bug]), name, bug.message, tries=1)
    assert work.ended == "tries"
    assert work.best is None
    assert work.attempts[0].outcome is not AttemptOutcome.DRAFTED
    assert work.attempts[0].reasons


def test_a_model_that_never_answers_ends_with_the_time(bug: Bug, tmp_path: Path) -> None:
    bug.write(tmp_path / "work")
    work = mended(tmp_path, BugScript([bug]), "never", bug.message, tries=1, wall_s=2.0)
    assert (work.ended, work.attempts) == ("deadline", ())


def test_the_demonstration_is_mended(tmp_path: Path) -> None:
    assert demo_repository(tmp_path / "work") == demo_repository(tmp_path / "again")
    work = mended(tmp_path, demo_script, DEMO_MODEL, DEMO_MESSAGE, tries=1)
    assert work.ended == "proven"
    assert work.best is not None
    assert work.best.evidence is not None
    assert len(work.best.evidence.fixed) == 2


def test_a_usual_client_hears_the_same_whole_and_in_pieces(bug: Bug) -> None:
    messages: Any = [{"role": "user", "content": f"Mend {bug.path}"}]

    async def use(address: str) -> tuple[str, str, set[str]]:
        async with openai.AsyncOpenAI(base_url=address, api_key="none", max_retries=0) as client:
            whole = await client.chat.completions.create(model="scripted/right", messages=messages)
            assert whole.system_fingerprint == LABEL
            assert whole.usage is not None
            stream = await client.chat.completions.create(
                model="scripted/right",
                messages=messages,
                stream=True,
                stream_options={"include_usage": True},
            )
            pieces, used = [], 0
            async for chunk in stream:
                pieces += [choice.delta.content or "" for choice in chunk.choices]
                used += chunk.usage.total_tokens if chunk.usage else 0
            assert used == whole.usage.total_tokens
            assert len(pieces) > 3
            with pytest.raises(openai.NotFoundError):
                await client.chat.completions.create(model="gpt", messages=messages)
            with pytest.raises(openai.BadRequestError):
                await client.post("/chat/completions", body={"model": 1}, cast_to=object)
            models = {model.id async for model in client.models.list()}
        return str(whole.choices[0].message.content), "".join(pieces), models

    whole, pieces, models = served(BugScript([bug]), BEHAVIOURS, use)
    assert whole == pieces
    assert bug.fixed in whole
    assert models == {f"{PREFIX}{name}" for name in BEHAVIOURS}


def test_a_client_that_leaves_ends_the_wait() -> None:
    async def use(address: str) -> None:
        async with openai.AsyncOpenAI(
            base_url=address, api_key="none", max_retries=0, timeout=0.3
        ) as client:
            with pytest.raises(openai.APITimeoutError):
                await client.chat.completions.create(
                    model="scripted/never", messages=[{"role": "user", "content": "x"}]
                )

    served(lambda name, messages: Reply("", float("inf")), ("never",), use)


def test_a_plan_is_told_from_edits(bug: Bug) -> None:
    script = BugScript([bug])
    asked = [{"role": "system", "content": f"{PLANNING} …"}, {"role": "user", "content": bug.path}]
    assert f"FILE: {bug.path}" in script("right", asked).text
    assert script("right", [{"role": "user", "content": "Which bug?"}]).text == "I know nothing of this."
