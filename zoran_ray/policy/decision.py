"""What a policy decides, and why. Knows no policy."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from zoran_ray.errors import PermissionDenied

Verdict = Literal["allow", "needs_person", "deny"]
STRICTNESS: dict[Verdict, int] = {"allow": 0, "needs_person": 1, "deny": 2}


@dataclass(frozen=True, slots=True)
class Step:
    """What one rule says.

    Attributes:
        rule: Its place in the policy, `paths.protect.tests`, or `built in: …`.
        verdict: What it comes to.
        reason: For people; holds no secret and no text of a file.
    """

    rule: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What all rules together say: the strictest of them, and among equals the first.

    Attributes:
        verdict: `allow`, `deny`, or `needs_person`: allowed once a person has said yes.
        rule: The rule that decided.
        reason: For people.
        policy_hash: SHA-256 of the policy that was asked, in hexadecimal.
        steps: The chain of rules that had a say, as they were asked.
    """

    verdict: Verdict
    rule: str
    reason: str
    policy_hash: str
    steps: tuple[Step, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether it may be done now, without a person."""
        return self.verdict == "allow"

    def require(self) -> None:
        """Nothing, if it is allowed.

        Raises:
            PermissionDenied: It is not, or needs a person; says which rule and why.
        """
        if self.verdict != "allow":
            ending = " A person has to approve it." if self.verdict == "needs_person" else ""
            raise PermissionDenied(f"The policy refuses ({self.rule}): {self.reason}.{ending}")


def decided(steps: Iterable[Step], policy_hash: str) -> Decision:
    """The decision that a chain of rules comes to; no rule at all is a refusal."""
    chain = tuple(steps) or (Step("built in: default", "deny", "no rule allows it"),)
    first = max(chain, key=lambda step: STRICTNESS[step.verdict])
    return Decision(first.verdict, first.rule, first.reason, policy_hash, chain)
