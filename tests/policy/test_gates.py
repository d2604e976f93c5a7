"""Modes, actions, tools, merges, deployments, spending; and the shape of a decision."""

import math
import pickle
from dataclasses import replace
from typing import Any

import pytest

from zoran_ray.errors import PermissionDenied
from zoran_ray.policy import MODES, DeployFacts, MergeFacts, PolicyEngine, load_policy

ENGINE = PolicyEngine(
    load_policy(
        b"""
mode_max: sovereign
tools:
  permissions: [local, code]
  forbid: [nothing]
  grants:
    coder: {tools: [run, read], permissions: [code, local]}
    "strategy:react": {tools: ["*"], permissions: [local, network]}
    "*": {tools: [calculator], permissions: [local]}
actions: {allow: [git.push, github.comment, mail.send], ask: [github.comment], forbid: [mail.send]}
merge: {allowed: true, min_confidence: 0.9, approvals: 1, required_checks: [unit, lint]}
deploy: {allowed: true, targets: [staging], min_confidence: 0.9}
""",
        "p",
    )
)
MERGE = MergeFacts("sovereign", 0.95, 1, True, True, {"unit": True, "lint": True, "more": False})
DEPLOY = DeployFacts("sovereign", "staging", 0.95, 0, True)


@pytest.mark.parametrize("most", MODES)
def test_a_request_can_only_lower_the_mode(most: str) -> None:
    engine = PolicyEngine(load_policy(f"mode_max: {most}".encode(), "p"))
    allowed = [mode for mode in MODES if engine.decide_mode(mode).allowed]
    assert allowed == list(MODES[: MODES.index(most) + 1])  # type: ignore[arg-type]
    assert not engine.decide_mode("root").allowed


@pytest.mark.parametrize(
    ("name", "verdict", "rule"),
    [
        ("git.push", "allow", "actions.allow"),
        ("github.comment", "needs_person", "actions.ask"),
        ("mail.send", "deny", "actions.forbid"),
        ("git.Push", "deny", "actions.allow"),
        ("", "deny", "actions.allow"),
    ],
)
def test_actions(name: str, verdict: str, rule: str) -> None:
    decision = ENGINE.decide_action(name)
    assert (decision.verdict, decision.rule) == (verdict, rule)


@pytest.mark.parametrize(
    ("who", "tool", "permission", "allowed"),
    [
        ("coder", "run", "code", True),
        ("coder", "calculator", "local", False),
        ("coder", "run", "network", False),
        ("strategy:react", "any", "local", True),
        ("strategy:react", "any", "network", False),
        ("strategy:react", "nothing", "local", False),
        ("somebody", "calculator", "local", True),
        ("somebody", "calculator", "code", False),
        ("*", "calculator", "local", True),
    ],
)
def test_tools(who: str, tool: str, permission: str, allowed: bool) -> None:
    assert ENGINE.decide_tool(who, tool, permission).allowed is allowed


@pytest.mark.parametrize(
    ("changed", "verdict", "rule"),
    [
        ({}, "allow", "merge.allowed"),
        ({"mode": "autopilot"}, "deny", "merge.allowed"),
        ({"same_head": False}, "deny", "built in: head"),
        ({"objected": 1, "approvals": 9}, "deny", "built in: objections"),
        ({"same_base": False}, "deny", "merge.strict_base"),
        ({"checks": {"unit": True}}, "deny", "merge.required_checks"),
        ({"checks": {"unit": True, "lint": False}}, "deny", "merge.required_checks"),
        ({"confidence": 0.89}, "needs_person", "merge.min_confidence"),
        ({"confidence": None}, "needs_person", "merge.min_confidence"),
        ({"confidence": math.nan}, "needs_person", "merge.min_confidence"),
        ({"confidence": math.inf}, "needs_person", "merge.min_confidence"),
        ({"approvals": 0}, "needs_person", "merge.approvals"),
        ({"approvals": 0, "same_base": False}, "deny", "merge.strict_base"),
    ],
)
def test_the_merge_gate(changed: dict[str, Any], verdict: str, rule: str) -> None:
    decision = ENGINE.decide_merge(replace(MERGE, **changed))
    assert (decision.verdict, decision.rule) == (verdict, rule)


@pytest.mark.parametrize(
    ("changed", "verdict", "rule"),
    [
        ({}, "allow", "deploy.allowed"),
        ({"mode": "operator"}, "deny", "deploy.allowed"),
        ({"target": "production"}, "deny", "deploy.targets"),
        ({"reversible": False}, "deny", "deploy.rollback"),
        ({"confidence": 0.5}, "needs_person", "deploy.min_confidence"),
    ],
)
def test_the_deploy_gate(changed: dict[str, Any], verdict: str, rule: str) -> None:
    decision = ENGINE.decide_deploy(replace(DEPLOY, **changed))
    assert (decision.verdict, decision.rule) == (verdict, rule)


def test_gates_are_shut_unless_opened() -> None:
    shut = PolicyEngine(load_policy(b"mode_max: sovereign", "p"))
    assert shut.decide_merge(MERGE).rule == "merge.allowed"
    assert shut.decide_deploy(DEPLOY).rule == "deploy.allowed"


def test_a_decision_travels_and_can_be_required() -> None:
    refused = pickle.loads(pickle.dumps(ENGINE.decide_action("mail.send")))
    assert refused == ENGINE.decide_action("mail.send")
    with pytest.raises(PermissionDenied, match=r"actions.forbid.*'mail.send' is forbidden"):
        refused.require()
    with pytest.raises(PermissionDenied, match="A person has to approve"):
        ENGINE.decide_action("github.comment").require()
    ENGINE.decide_action("git.push").require()
