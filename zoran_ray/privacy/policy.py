"""What is done with one text under a profile. Decides; detects and masks nothing."""

from collections import Counter
from collections.abc import Iterable
from typing import Literal

from zoran_ray.errors import PermissionDenied
from zoran_ray.privacy.finding import Finding
from zoran_ray.settings import PrivacyMode

Action = Literal["pass", "mask", "refuse"]


def choose_action(mode: PrivacyMode, remote: bool) -> Action:
    """What to do with personal data in a request.

    Args:
        mode: The profile's.
        remote: Whether the text would leave this deployment.
    """
    match mode:
        case "off":
            return "pass"
        case "remote":
            return "mask" if remote else "pass"
        case "always":
            return "mask"
        case "reject":
            return "refuse"


def refuse_findings(findings: Iterable[Finding]) -> None:
    """Nothing, if there are none.

    Raises:
        PermissionDenied: There are; says which kinds, and never what they say.
    """
    counts = Counter(finding.kind for finding in findings)
    if counts:
        told = ", ".join(f"{kind} × {count}" for kind, count in sorted(counts.items()))
        raise PermissionDenied(
            f"The privacy policy refuses texts with personal data or secrets, and this one holds: {told}."
            " Take them out, or mask them with `zoran pii mask` first."
        )
