"""What agents may do: a policy read strictly, judged by default deny, and made stricter for repositories.

`PolicyEngine` decides; `OpenFolder` opens files without following links. Whatever no rule allows is
refused, and what one rule forbids no other permits. Runs nothing: knows neither git nor Docker, HTTP nor
Ray.
"""

from zoran_ray.policy.commands import CommandCall
from zoran_ray.policy.decision import Decision, Step, Verdict
from zoran_ray.policy.document import MODES, Mode, Override, Policy, SandboxRules
from zoran_ray.policy.engine import PolicyEngine, policy_hash
from zoran_ray.policy.folder import OpenFolder
from zoran_ray.policy.gates import DeployFacts, MergeFacts
from zoran_ray.policy.load import (
    OVERRIDE_FILE,
    for_repository,
    load_override,
    load_policy,
    read_override,
    read_policy,
    repository_name,
    shipped_policy_file,
)
from zoran_ray.policy.names import name_fault, shown
from zoran_ray.policy.raw_diff import DIFF_OPTIONS, Change, Diff, read_diff
from zoran_ray.policy.rules import Command, Operation
from zoran_ray.policy.schema import policy_schema, schema_text
from zoran_ray.policy.tool_gate import MCP, ToolGate

__all__ = [
    "DIFF_OPTIONS",
    "MCP",
    "MODES",
    "OVERRIDE_FILE",
    "Change",
    "Command",
    "CommandCall",
    "Decision",
    "DeployFacts",
    "Diff",
    "MergeFacts",
    "Mode",
    "OpenFolder",
    "Operation",
    "Override",
    "Policy",
    "PolicyEngine",
    "SandboxRules",
    "Step",
    "ToolGate",
    "Verdict",
    "for_repository",
    "load_override",
    "load_policy",
    "name_fault",
    "policy_hash",
    "policy_schema",
    "read_diff",
    "read_override",
    "read_policy",
    "repository_name",
    "schema_text",
    "shipped_policy_file",
    "shown",
]
