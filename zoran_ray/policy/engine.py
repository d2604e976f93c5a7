"""Asks one policy about everything an agent may want to do. Pure: no disk, no clock, no network."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

from zoran_ray.errors import InvalidRequest
from zoran_ray.policy import gates
from zoran_ray.policy.commands import CommandCall, arguments, longest_s, value_steps
from zoran_ray.policy.decision import Decision, Step, decided
from zoran_ray.policy.diff import DiffJudge
from zoran_ray.policy.document import Policy
from zoran_ray.policy.paths import PathJudge
from zoran_ray.policy.raw_diff import read_diff
from zoran_ray.policy.rules import Operation
from zoran_ray.policy.texts import TextJudge


class PolicyEngine:
    """Decides. Safe to share between threads; make one for each policy, it compiles the rules.

    Args:
        policy: As `load_policy` or `for_repository` gives it.

    Attributes:
        policy: The same.
        policy_hash: SHA-256 of its canonical form, in hexadecimal; every decision carries it.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.policy_hash = policy_hash(policy)
        self._paths = PathJudge(policy.paths, policy.changes)
        self._texts = TextJudge(policy.secrets, policy.forbidden)
        self._diffs = DiffJudge(policy.changes, self._paths, self._texts)

    def decide_mode(self, asked: str) -> Decision:
        """Whether a task may run in a mode."""
        return self._decided(gates.mode_steps(self.policy, asked))

    def decide_path(self, path: str, operation: Operation) -> Decision:
        """Whether a file may be read or changed.

        Args:
            path: Relative to the repository's root; untrusted.
        """
        return self._decided(self._paths.steps(path, operation))

    def decide_command(self, name: str, values: Mapping[str, Any]) -> CommandCall:
        """Whether a named command may run, and its arguments if it may.

        Args:
            name: Untrusted.
            values: What is given for its placeholders; untrusted: anything that JSON can hold.
        """
        command = self.policy.commands.get(str(name))
        if command is None:
            known = ", ".join(sorted(self.policy.commands)) or "none"
            reason = f"there is no command {str(name)[:64]!r}; there are: {known}"
            return CommandCall(self._decided([Step("commands", "deny", reason)]))
        rule = f"commands.{name}"
        steps = [
            Step(rule, "allow", command.why or "the policy names it"),
            *value_steps(command, values, self._paths, rule),
        ]
        decision = self._decided(steps)
        if not decision.allowed:
            return CommandCall(decision)
        timeout_s = longest_s(command, self.policy.sandbox.timeout_s)
        return CommandCall(decision, arguments(command, values), timeout_s)

    def decide_changes(self, raw: bytes) -> Decision:
        """Whether the modes and names of a diff are allowed; says nothing about its size and text.

        Args:
            raw: What `git diff --raw -z` printed.
        """
        return self._decided(self._diff_steps(raw, whole=False))

    def decide_diff(self, output: bytes) -> Decision:
        """Whether a diff is allowed: modes, names, size, secrets, forbidden text.

        Args:
            output: What `git diff` printed with `DIFF_OPTIONS`.
        """
        return self._decided(self._diff_steps(output, whole=True))

    def decide_text(self, text: str, where: str = "the text") -> Decision:
        """Whether a message, a title, a log line may leave: whether it is free of secrets.

        Args:
            where: What it is, for people.
        """
        clean = Step("secrets", "allow", f"{where} holds no known secret")
        return self._decided(chain([clean], self._texts.secret_steps(text, where)))

    def redact(self, text: str) -> str:
        """The text with a name in place of each secret, for logs."""
        return self._texts.redact(text)

    def decide_action(self, name: str) -> Decision:
        """Whether something may be done outside, such as `github.open_pr`."""
        return self._decided(gates.action_steps(self.policy.actions, name))

    def decide_tool(self, who: str, tool: str, permission: str) -> Decision:
        """Whether an agent or a strategy may use a tool.

        Args:
            permission: What the tool reaches: `local`, `network`, `code` or `memory`.
        """
        return self._decided(gates.tool_steps(self.policy.tools, who, tool, permission))

    def decide_merge(self, facts: gates.MergeFacts) -> Decision:
        """Whether a pull request may be merged without a person."""
        return self._decided(gates.merge_steps(self.policy.merge, facts))

    def decide_deploy(self, facts: gates.DeployFacts) -> Decision:
        """Whether a target may be deployed to without a person."""
        return self._decided(gates.deploy_steps(self.policy.deploy, facts))

    def _diff_steps(self, output: bytes, whole: bool) -> Iterable[Step]:
        try:
            diff = read_diff(output)
        except InvalidRequest as error:
            return [Step("built in: diff", "deny", error.message.rstrip("."))]
        opening = [Step("changes", "allow", f"{len(diff.changes)} files change")]
        return chain(
            opening, self._diffs.file_steps(diff), self._diffs.content_steps(diff) if whole else ()
        )

    def _decided(self, steps: Iterable[Step]) -> Decision:
        return decided(steps, self.policy_hash)


def policy_hash(policy: Policy) -> str:
    """SHA-256 of a policy's canonical form, in hexadecimal: JSON, keys sorted, no spaces, every default."""
    data = policy.model_dump(mode="json")
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
