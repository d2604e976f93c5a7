"""Judges what is no file and no text: modes, actions, tools, merges, deployments."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from zoran_ray.policy.decision import Step
from zoran_ray.policy.document import MODES, Actions, DeployGate, MergeGate, Mode, Rules, Tools


@dataclass(frozen=True, slots=True)
class MergeFacts:
    """What is known about a pull request. Whoever gives it has looked, not asked a model.

    Attributes:
        mode: The task's.
        confidence: 0..1; None where it could not be computed.
        approvals: People who approved this head.
        same_head: Whether the head is the commit that was judged and tested.
        same_base: Whether the base is the commit that the tests ran on.
        checks: Whether each check succeeded, by name.
        objected: People who asked for changes and have not taken it back.
    """

    mode: Mode
    confidence: float | None
    approvals: int = 0
    same_head: bool = False
    same_base: bool = False
    checks: Mapping[str, bool] = field(default_factory=dict)
    objected: int = 0


@dataclass(frozen=True, slots=True)
class DeployFacts:
    """What is known about a deployment.

    Attributes:
        mode: The task's.
        target: Its name.
        confidence: That of the merge; None where it could not be computed.
        approvals: People who approved this deployment.
        reversible: Whether the target has a health check and a way back.
    """

    mode: Mode
    target: str
    confidence: float | None
    approvals: int = 0
    reversible: bool = False


def mode_steps(rules: Rules, asked: str) -> Iterator[Step]:
    """Whether a task may run in a mode."""
    if asked not in MODES:
        yield Step("mode_max", "deny", f"there is no mode {asked[:32]!r}; there are {', '.join(MODES)}")
    elif MODES.index(asked) > MODES.index(rules.mode_max):
        yield Step(
            "mode_max", "deny", f"'{asked}' is more than '{rules.mode_max}', the most that is allowed"
        )
    else:
        yield Step("mode_max", "allow", f"'{asked}' is not more than '{rules.mode_max}'")


def action_steps(actions: Actions, name: str) -> Iterator[Step]:
    """Whether something may be done outside."""
    if name in actions.forbid:
        yield Step("actions.forbid", "deny", f"{name[:64]!r} is forbidden")
    if name not in actions.allow:
        yield Step("actions.allow", "deny", f"{name[:64]!r} is not in the list of what is allowed")
    elif name in actions.ask:
        yield Step("actions.ask", "needs_person", f"{name[:64]!r} needs a person each time")
    else:
        yield Step("actions.allow", "allow", f"{name[:64]!r} is allowed")


def tool_steps(tools: Tools, who: str, tool: str, permission: str) -> Iterator[Step]:
    """Whether an agent or a strategy may use a tool that reaches what `permission` says."""
    called, asks = tool[:64], who[:64]
    if tool in tools.forbid:
        yield Step("tools.forbid", "deny", f"the tool {called!r} is forbidden")
    if permission not in tools.permissions:
        yield Step("tools.permissions", "deny", f"no tool may reach {permission[:32]!r}")
    key = who if who in tools.grants else "*"
    grant, place = tools.grants.get(key), f"tools.grants.{key[:64]}"
    if grant is None:
        yield Step("tools.grants", "deny", f"{asks!r} has no grant, and there is none for '*'")
    elif tool not in grant.tools and "*" not in grant.tools:
        yield Step(place, "deny", f"{asks!r} may not use the tool {called!r}")
    elif permission not in grant.permissions:
        yield Step(place, "deny", f"{asks!r} may use no tool that reaches {permission[:32]!r}")
    else:
        yield Step(place, "allow", f"{asks!r} may use the tool {called!r}")


def merge_steps(gate: MergeGate, facts: MergeFacts) -> Iterator[Step]:
    """Whether a pull request may be merged without a person."""
    yield from _switch("merge", gate.allowed, facts.mode)
    if not facts.same_head:
        yield Step("built in: head", "deny", "the head is not the commit that was judged")
    if facts.objected:
        yield Step("built in: objections", "deny", f"{facts.objected} people asked for changes")
    if gate.strict_base and not facts.same_base:
        yield Step("merge.strict_base", "deny", "the base moved after the tests: test again")
    for name in gate.required_checks:
        if facts.checks.get(name) is not True:
            yield Step("merge.required_checks", "deny", f"the check {name!r} has not succeeded")
    yield from _people("merge", gate, facts)


def deploy_steps(gate: DeployGate, facts: DeployFacts) -> Iterator[Step]:
    """Whether a target may be deployed to without a person."""
    yield from _switch("deploy", gate.allowed, facts.mode)
    if facts.target not in gate.targets:
        yield Step("deploy.targets", "deny", f"{facts.target[:64]!r} is not in the list of targets")
    if gate.rollback and not facts.reversible:
        yield Step("deploy.rollback", "deny", "the target lacks a health check or a way back")
    yield from _people("deploy", gate, facts)


def _switch(section: str, allowed: bool, mode: Mode) -> Iterator[Step]:
    if not allowed:
        yield Step(f"{section}.allowed", "deny", "the policy leaves this to people")
    elif mode != "sovereign":
        yield Step(f"{section}.allowed", "deny", f"mode {mode!r} leaves this to people")
    else:
        yield Step(f"{section}.allowed", "allow", "the policy and the mode allow it")


def _people(section: str, gate: MergeGate | DeployGate, facts: MergeFacts | DeployFacts) -> Iterator[Step]:
    """What a person may make up for: too little confidence, approvals that are missing."""
    known = facts.confidence
    if known is None or not gate.min_confidence <= known <= 1:  # NaN is no confidence either
        told = "is unknown" if known is None else f"is {known:.3f}"
        reason = f"confidence {told}, at least {gate.min_confidence} is needed"
        yield Step(f"{section}.min_confidence", "needs_person", reason)
    if facts.approvals < gate.approvals:
        reason = f"{facts.approvals} approvals of {gate.approvals}"
        yield Step(f"{section}.approvals", "needs_person", reason)
