"""Tools of roles and of strategies: what the settings allow and the policy grants, told to the journal."""

from dataclasses import dataclass, field

import httpx
import pytest

from actors.agent_roles import maker
from serve_apps.gateway.built_in import built_in
from tests.integration.sandbox_place import made, nothing_left, require_docker
from tests.serve_apps.agents_stage import LocalLink
from tests.serve_apps.test_gateway_tools import ALL, Odd, ask, call, calling, plays, said, shown, told
from tests.serve_apps.thinking_stage import answer
from zoran_ray.policy import ToolGate
from zoran_ray.sandbox import Sandbox
from zoran_ray.settings import Settings, ToolSettings

CODER, REASONER = "zoran/agents:coder", "zoran/agents:reasoner"
PROGRAM = call("code", {"code": "print(6*7)"})
REACT = {"strategy": {"strategy": "react"}}
LOCAL = ToolSettings(allowed=("calculator", "odd"))
STRATEGIES = built_in()


@dataclass
class Ended:
    """See `code_runner.Ran`."""

    exit_status: int | None = 0
    stdout: bytes = b"42\n"
    stderr: bytes = b""
    timed_out: bool = False
    files_out: dict = field(default_factory=dict)


@dataclass
class Runner:
    """See `code_runner.CodeRunner`: every program ends in the same way."""

    ended: Ended = field(default_factory=Ended)
    ran: list = field(default_factory=list)

    async def run(self, files, argv, *, timeout_s):
        self.ran.append((files, tuple(argv)))
        return self.ended


class ShippedRoles(LocalLink):
    """The reasoner and the coder as the role's process makes them."""

    def _maker(self, role):
        return maker(role, Settings()) if role in ("reasoner", "coder") else super()._maker(role)


@pytest.fixture
async def stage(make_stack):
    """Makes a gateway with roles, and one model of its own that calls tools."""

    async def opened(*documents, **options):
        options.setdefault("settings", ToolSettings(allowed=("calculator", "code"), permissions=ALL))
        stack = await make_stack(strategies=STRATEGIES, agents=(ShippedRoles(), True), tools=options)
        stack.catalogue(capabilities=("tools",))
        stack.one = plays(await stack.replica(), *documents)
        return stack

    return opened


@pytest.fixture
def policy(tmp_path):
    """Writes a policy's grants, anew each time; returns its gate."""
    file = tmp_path / "policy.yaml"

    def written(grants, forbid="[]"):
        file.write_text(
            "tools:\n  permissions: [local, network, code, memory]\n"
            f"  forbid: {forbid}\n  grants: {{{grants}}}\n"
        )
        return ToolGate(file)

    return written


def offered(stack, place=0):
    """The names that a model was told."""
    return [each["function"]["name"] for each in stack.one.requests[place].json.get("tools", ())]


def detail(got):
    return got.json["zoran"]["detail"]


# -- the coder ------------------------------------------------------------------------------------


async def test_the_coder_runs_code_where_that_is_allowed_and_the_journal_hears_of_it(stage):
    runner = Runner()
    stack = await stage(calling(PROGRAM), answer("It prints 42."), runner=runner)
    got = await ask(stack, "Write code.", model=CODER, headers={"x-request-id": "r-7"})
    assert said(got) == "It prints 42."
    assert detail(got) == {"agent": "coder", "turns": 2, "tool_calls": 1, "tool_errors": 0, "ran": True}
    assert runner.ran == [({"main.py": b"print(6*7)"}, ("python", "main.py"))]
    assert offered(stack) == ["code"], "no other tool, whatever is allowed"
    assert "\n42\n" in shown(stack)[0]
    (event,) = await told(stack)
    assert (event.meta["request"], event.meta["tool"], event.meta["ok"]) == ("r-7", "code", True)


@pytest.mark.parametrize(
    "settings", [ToolSettings(allowed=("calculator", "code")), ToolSettings(permissions=ALL)]
)
async def test_the_coder_runs_nothing_where_name_or_permission_is_missing(stage, settings):
    runner = Runner()
    stack = await stage(answer("```python\nprint(42)\n```"), runner=runner, settings=settings)
    got = await ask(stack, "Write code.", model=CODER)
    assert detail(got)["ran"] is False
    assert offered(stack) == []
    assert not runner.ran


@pytest.mark.parametrize("runner", [None, Runner(Ended(exit_status=1))])
async def test_what_did_not_run_to_its_end_is_not_said_to_have_run(stage, runner):
    stack = await stage(calling(PROGRAM), answer("done"), runner=runner)
    assert detail(await ask(stack, "Write code.", model=CODER))["ran"] is False


async def test_a_coder_that_calls_what_it_was_not_offered_gets_nothing(stage):
    stack = await stage(calling(call()), answer("done"), runner=Runner())
    await ask(stack, "Write code.", model=CODER)
    assert "no such tool" in shown(stack)[0]
    (event,) = await told(stack)
    assert (event.meta["tool"], event.meta["ok"]) == ("unlisted", False)


async def test_a_request_for_other_tools_leaves_the_coder_none(stage):
    stack = await stage(answer("done"), runner=Runner())
    got = await ask(stack, "Write code.", model=CODER, zoran={"tools": {"allowed": ["calculator"]}})
    assert detail(got)["ran"] is False
    assert offered(stack) == []


@pytest.mark.docker
async def test_the_coders_program_runs_in_a_container(stage, tmp_path):
    require_docker()
    place = made(tmp_path)
    program = call("code", {"code": "import os\nprint(6 * 7, os.getuid())"})
    with nothing_left(place.deployment):
        stack = await stage(calling(program), answer("done"), runner=Sandbox(place))
        stack._client.timeout = httpx.Timeout(120)
        got = await ask(stack, "Write code.", model=CODER)
        assert detail(got)["ran"] is True
        assert "\n42 65534\n" in shown(stack)[0]


# -- the reasoner ---------------------------------------------------------------------------------


async def test_the_reasoner_plays_a_playbook(stage):
    stack = await stage(*(answer("Answer: 4"),) * 3)
    got = await ask(stack, model=REASONER, zoran={"strategy": {"strategy": "plan-and-check"}})
    assert got.status == 200, got.body
    assert detail(got)["strategy"] == "plan-and-check"


async def test_the_reasoner_has_the_tools_that_are_allowed_and_no_others(stage):
    odd = Odd()
    stack = await stage(calling(call("odd", "{}")), answer("done"), settings=LOCAL, more=(odd,))
    assert said(await ask(stack, model=REASONER, zoran=REACT)) == "done"
    assert offered(stack) == ["calculator", "odd"]
    assert odd.calls == [{}]
    (event,) = await told(stack)
    assert (event.meta["tool"], event.meta["ok"]) == ("odd", True)


async def test_the_reasoner_has_none_where_none_is_allowed(stage):
    stack = await stage(answer("done"), settings=ToolSettings(allowed=()))
    assert said(await ask(stack, model=REASONER, zoran=REACT)) == "done"
    assert offered(stack) == []


async def test_a_request_to_the_reasoner_may_ask_for_fewer_tools_and_for_no_others(stage):
    stack = await stage(answer("done"), settings=LOCAL, more=(Odd(),))
    await ask(stack, model=REASONER, zoran=REACT | {"tools": {"allowed": ["odd"]}})
    assert offered(stack) == ["odd"]
    got = await ask(stack, model=REASONER, zoran=REACT | {"tools": {"allowed": ["fetch"]}})
    assert (got.status, got.json["error"]["param"]) == (400, "zoran.tools.allowed")


# -- the policy -----------------------------------------------------------------------------------


async def test_a_tool_needs_the_policy_too(stage, policy):
    gate = policy("'strategy:react': {tools: [odd], permissions: [local]}")
    stack = await stage(*(answer("x"),) * 3, settings=LOCAL, more=(Odd(),), policy=gate)
    await ask(stack)
    assert offered(stack) == ["odd"], "the calculator is allowed, and not granted"
    await ask(stack, model=REASONER, zoran=REACT)
    assert offered(stack, 1) == [], "a role is somebody else"
    got = await ask(stack, zoran={"tools": {"allowed": ["calculator"]}})
    assert (got.status, got.json["error"]["param"]) == (400, "zoran.tools.allowed")


async def test_what_the_policy_forbids_is_gone_with_the_next_request(stage, policy):
    everything = "'*': {tools: ['*'], permissions: [local]}"
    stack = await stage(*(answer("x"),) * 2, settings=LOCAL, more=(Odd(),), policy=policy(everything))
    await ask(stack)
    policy(everything, forbid="[odd]")
    await ask(stack)
    assert [offered(stack, place) for place in (0, 1)] == [["calculator", "odd"], ["calculator"]]


@pytest.mark.parametrize(
    "grants",
    ["coder: {tools: [code], permissions: [local]}", "'*': {tools: [odd], permissions: [code]}", ""],
)
async def test_the_coder_needs_a_grant_for_code_and_for_what_it_reaches(stage, policy, grants):
    stack = await stage(answer("done"), runner=Runner(), policy=policy(grants))
    assert detail(await ask(stack, "Write code.", model=CODER))["ran"] is False
    assert offered(stack) == []


async def test_a_policy_that_cannot_be_read_gives_no_tool_and_says_so_to_the_operator(
    stage, tmp_path, caplog
):
    broken = tmp_path / "broken.yaml"
    stack = await stage(answer("fine"), policy=ToolGate(broken))
    for text in (None, "toools: {}\n"):
        if text is not None:
            broken.write_text(text)
        got = await ask(stack)
        assert got.status == 503, got.body
        assert "broken.yaml" not in got.body.decode()
        assert "broken.yaml" in caplog.text
        caplog.clear()
    assert not stack.one.requests
    assert said(await ask(stack, model="zoran/cot")) == "fine"
    grants = "grants: {'*': {tools: ['*'], permissions: [local]}}"
    broken.write_text(f"tools: {{permissions: [local], {grants}}}\n")

    plays(stack.one, answer("again"))
    assert said(await ask(stack)) == "again"
