"""`zoran policy`: what agents may do, whether the file is right, and which rule decides."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoran_ray.cli.options import AsJson
from zoran_ray.cli.output import print_json, print_table, printable
from zoran_ray.cli.z5 import read_stdin

if TYPE_CHECKING:
    from zoran_ray.policy import Decision, Mode, Policy

app = typer.Typer(help="What agents may do: check the policy, explain a decision.", no_args_is_help=True)
explain_app = typer.Typer(help="Which rule decides, and which others had a say.", no_args_is_help=True)
app.add_typer(explain_app, name="explain")

MAX_DIFF_BYTES = 64 * 1024 * 1024

PolicyFile = Annotated[
    Path | None, typer.Option("--policy", help="The policy to ask; unset: the one that zoran ships with.")
]
Repository = Annotated[
    str | None,
    typer.Option("--repository", help="Its address or name, for the overrides that are about it."),
]
OverrideFile = Annotated[
    Path | None, typer.Option("--override", help="A repository's own override, laid over the policy.")
]

Confidence = Annotated[
    float | None, typer.Option("--confidence", min=0, max=1, help="In the change; unset: not known.")
]
Approvals = Annotated[int, typer.Option("--approvals", min=0, help="People who approved it.")]
TaskMode = Annotated[str, typer.Option("--mode", help="advisor, operator, autopilot or sovereign.")]


@app.command()
def check(
    policy: PolicyFile = None,
    repository: Repository = None,
    override: OverrideFile = None,
    as_json: AsJson = False,
) -> None:
    """Whether a policy is right; says what is wrong and where, and tries its examples."""
    from zoran_ray.policy import policy_hash

    found = _effective(policy, repository, override)
    told = policy_hash(found)
    if as_json:
        print_json({"ok": True, "policy_hash": told, "mode_max": found.mode_max})
    else:
        typer.echo(f"The policy is right. At most mode '{found.mode_max}'. Hash {told}.")


@app.command()
def schema(
    override: Annotated[bool, typer.Option("--override", help="That of an override instead.")] = False,
) -> None:
    """The JSON Schema of a policy, for editors."""
    from zoran_ray.policy import schema_text

    typer.echo(schema_text(override), nl=False)


@explain_app.command("path")
def explain_path(
    path: Annotated[str, typer.Argument(help="Relative to the repository.")],
    operation: Annotated[str, typer.Option("--to", help="read, add, modify or delete.")] = "modify",
    policy: PolicyFile = None,
    repository: Repository = None,
    override: OverrideFile = None,
    as_json: AsJson = False,
) -> None:
    """What may be done with a file."""
    from zoran_ray.policy import Operation, PolicyEngine

    found: dict[str, Operation] = {"read": "read", "add": "add", "modify": "modify", "delete": "delete"}
    if operation not in found:
        raise typer.BadParameter(f"--to is one of: {', '.join(found)}.")
    engine = PolicyEngine(_effective(policy, repository, override))
    _tell(engine.decide_path(path, found[operation]), as_json)


@explain_app.command("command")
def explain_command(
    name: str,
    values: Annotated[list[str] | None, typer.Argument(metavar="[PLACEHOLDER=VALUE]...")] = None,
    policy: PolicyFile = None,
    repository: Repository = None,
    override: OverrideFile = None,
    as_json: AsJson = False,
) -> None:
    """Whether a named command may run, and what would run."""
    from zoran_ray.policy import PolicyEngine

    call = PolicyEngine(_effective(policy, repository, override)).decide_command(
        name, _values(values or [])
    )
    _tell(call.decision, as_json, {"argv": list(call.argv), "timeout_s": call.timeout_s})


@explain_app.command("action")
def explain_action(
    name: Annotated[str, typer.Argument(help="Such as git.push or github.open_pr.")],
    policy: PolicyFile = None,
    repository: Repository = None,
    override: OverrideFile = None,
    as_json: AsJson = False,
) -> None:
    """Whether something may be done outside."""
    from zoran_ray.policy import PolicyEngine

    _tell(PolicyEngine(_effective(policy, repository, override)).decide_action(name), as_json)


@explain_app.command("tool")
def explain_tool(
    name: Annotated[str, typer.Argument(help="See `zoran tools list`; of an MCP server: SERVER_TOOL.")],
    who: Annotated[
        str, typer.Option(help="A role as coder, a strategy as strategy:react, or mcp.")
    ] = "strategy:react",
    reaches: Annotated[
        str | None,
        typer.Option(help="local, network, code or memory; unset: what it says, and code for MCP's."),
    ] = None,
    policy: PolicyFile = None,
    repository: Repository = None,
    override: OverrideFile = None,
    as_json: AsJson = False,
) -> None:
    """Whether a tool is granted. The server's settings have to allow it besides."""
    from zoran_ray.policy import PolicyEngine
    from zoran_ray.settings import ToolSettings
    from zoran_ray.tools.installed import installed
    from zoran_ray.tools.offered import OF_SERVERS

    said = {each.name: each.permission for each in installed(ToolSettings())}
    permission = said.get(name, OF_SERVERS) if reaches is None else reaches
    engine = PolicyEngine(_effective(policy, repository, override))
    _tell(engine.decide_tool(who, name, permission), as_json, {"reaches": permission})


@explain_app.command("merge")
def explain_merge(
    confidence: Confidence = None,
    mode: TaskMode = "sovereign",
    approvals: Approvals = 0,
    objected: Annotated[int, typer.Option(min=0, help="People who asked for changes.")] = 0,
    passed: Annotated[
        list[str] | None, typer.Option("--passed", help="A check that succeeded. Repeatable.")
    ] = None,
    head_moved: Annotated[
        bool, typer.Option("--head-moved", help="The head is not the commit that was judged.")
    ] = False,
    base_moved: Annotated[
        bool, typer.Option("--base-moved", help="The base is not the commit that was tested on.")
    ] = False,
    policy: PolicyFile = None,
    repository: Repository = None,
    override: OverrideFile = None,
    as_json: AsJson = False,
) -> None:
    """Whether such a pull request may be merged without a person."""
    from zoran_ray.policy import MergeFacts, PolicyEngine

    checks = dict.fromkeys(passed or (), True)
    facts = MergeFacts(_mode(mode), confidence, approvals, not head_moved, not base_moved, checks, objected)
    _tell(PolicyEngine(_effective(policy, repository, override)).decide_merge(facts), as_json)


@explain_app.command("deploy")
def explain_deploy(
    target: Annotated[str, typer.Argument(help="Its name in autopilot.targets.")],
    confidence: Confidence = None,
    mode: TaskMode = "sovereign",
    approvals: Approvals = 0,
    reversible: Annotated[bool, typer.Option(help="Whether it has a health check and a way back.")] = True,
    policy: PolicyFile = None,
    repository: Repository = None,
    override: OverrideFile = None,
    as_json: AsJson = False,
) -> None:
    """Whether a target may be deployed to without a person."""
    from zoran_ray.policy import DeployFacts, PolicyEngine

    facts = DeployFacts(_mode(mode), target, confidence, approvals, reversible)
    _tell(PolicyEngine(_effective(policy, repository, override)).decide_deploy(facts), as_json)


@explain_app.command("diff")
def explain_diff(
    names_only: Annotated[
        bool,
        typer.Option("--names-only", help="stdin is of `git diff --raw -z`: judge no size and no text."),
    ] = False,
    policy: PolicyFile = None,
    repository: Repository = None,
    override: OverrideFile = None,
    as_json: AsJson = False,
) -> None:
    """Whether a diff is allowed: `git diff --raw --numstat --patch -z --no-renames --text` on stdin."""
    from zoran_ray.policy import PolicyEngine

    engine = PolicyEngine(_effective(policy, repository, override))
    output = read_stdin(MAX_DIFF_BYTES)
    _tell(engine.decide_changes(output) if names_only else engine.decide_diff(output), as_json)


def _effective(path: Path | None, repository: str | None, override: Path | None) -> "Policy":
    """The policy that holds, with what is stricter for a repository."""
    from zoran_ray.policy import (
        for_repository,
        read_override,
        read_policy,
        repository_name,
        shipped_policy_file,
    )

    policy = read_policy(path or shipped_policy_file())
    own = read_override(override, policy) if override else None
    if repository is None and own is None:
        return policy
    return for_repository(policy, repository_name(repository or ""), own)


def _mode(name: str) -> "Mode":
    from zoran_ray.policy import MODES

    for mode in MODES:
        if mode == name:
            return mode
    raise typer.BadParameter(f"--mode is one of: {', '.join(MODES)}.")


def _values(pairs: list[str]) -> dict[str, Any]:
    """`name=value` and its like; a name given again has several values."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair!r} is not PLACEHOLDER=VALUE.")
        found[name] = [*found.get(name, []), value]
    return found


def _tell(decision: "Decision", as_json: bool, more: dict[str, Any] | None = None) -> None:
    """The decision and its chain of rules; exit status 5 where it is not allowed."""
    from dataclasses import asdict

    if as_json:
        print_json({**asdict(decision), **(more or {})})
    else:
        typer.echo(printable(f"{decision.verdict}: {decision.reason} ({decision.rule})"))
        for name, value in (more or {}).items() if decision.allowed else ():
            typer.echo(printable(f"{name}: {value}"))
        print_table(("VERDICT", "RULE", "REASON"), [(s.verdict, s.rule, s.reason) for s in decision.steps])
    if not decision.allowed:
        raise typer.Exit(5)
