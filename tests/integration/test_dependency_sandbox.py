"""Tests that need another repository, in containers, with the command that the shipped policy names."""

import asyncio

import pytest

from zoran_ray.autopilot.engineer.proving import Proof
from zoran_ray.autopilot.engineer.values import Attempt, AttemptOutcome
from zoran_ray.autopilot.git import Tree
from zoran_ray.autopilot.testing import Dependency, Harness, Outcome
from zoran_ray.errors import InvalidRequest
from zoran_ray.policy import PolicyEngine, read_policy, shipped_policy_file
from zoran_ray.sandbox import Backend, Sandbox

pytestmark = pytest.mark.docker

OLD = {"src/lib.py": b"def total(n):\n    return sum(n)\n", "conftest.py": b"raise SystemExit\n"}
NEW = {**OLD, "src/lib.py": b"def cents(n):\n    return 100 * sum(n)\n", "pytest.py": b"raise SystemExit\n"}
APP = {
    "app.py": b"import lib\n\n\ndef checkout(n):\n    return lib.total(n)\n",
    "test_app.py": b"from app import checkout\n\n\ndef test_checkout():\n    assert checkout([3]) == 3\n",
}
MENDED = {**APP, "app.py": APP["app.py"].replace(b"lib.total(n)", b"lib.cents(n) // 100")}


def tree(files: dict[str, bytes]) -> Tree:
    return Tree(files, frozenset(), {})


async def test_what_a_change_elsewhere_broke_is_shown_to_be_mended_with_it(backend: Backend) -> None:
    sandbox = Sandbox(backend, slots=1)
    engine = PolicyEngine(read_policy(shipped_policy_file()))
    proof = Proof(sandbox, engine, Harness(), [Dependency(NEW, OLD)])
    before = await proof.baseline(tree(APP))
    assert before.without is not None
    assert before.without.outcomes == {"test_app::test_checkout": Outcome.PASSED}
    assert before.run.outcomes == {"test_app::test_checkout": Outcome.FAILED}
    draft = Attempt(1, AttemptOutcome.DRAFTED, changed=("app.py",), commit="0" * 40)
    attempt = await proof.proven(draft, before, tree(APP), tree(MENDED))
    assert attempt.outcome is AttemptOutcome.PROVEN, attempt.reasons
    await asyncio.to_thread(sandbox.close)


async def test_what_is_too_much_for_the_sandbox_is_never_sent(backend: Backend) -> None:
    sandbox = Sandbox(backend, slots=1)
    policy = read_policy(shipped_policy_file())
    small = policy.model_copy(update={"sandbox": policy.sandbox.model_copy(update={"input_files": 3})})
    proof = Proof(sandbox, PolicyEngine(small), Harness(), [Dependency(NEW, OLD)])
    with pytest.raises(InvalidRequest, match="5 files"):
        await proof.baseline(tree(APP))
    await asyncio.to_thread(sandbox.close)
