"""What an answer of a role is worth before anybody has said. Weak evidence, as all signs are. Pure."""

from zoran_ray.reasoning.strategy import Answer

GOOD, CUT_SHORT, BAD = 1.0, 0.5, 0.0


def worth(answer: Answer) -> float:
    """Score 0..1: what the verifier said; without one nothing said or nothing found is bad, and an answer
    for which tokens, money or time ran out is cut short."""
    if answer.verified is not None:
        return GOOD if answer.verified else BAD
    if not answer.text.strip() or answer.detail.get("found") is False:
        return BAD
    return CUT_SHORT if answer.ended.startswith("budget:") else GOOD
