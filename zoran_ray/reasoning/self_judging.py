"""The model as its own judge: only where somebody asks for it, and always labelled so."""

import re
from collections.abc import Sequence

from zoran_ray.errors import InvalidRequest
from zoran_ray.reasoning.completion import Message, Sampling
from zoran_ray.reasoning.parameters import Judge
from zoran_ray.reasoning.prompting import with_request
from zoran_ray.reasoning.strategy import Ask
from zoran_ray.reasoning.verifier import Verdict, Verifier

LABEL = {"judged_by": "model"}
"""In `Answer.detail` and in steps of whatever the model judged itself."""

MOST_SHOWN = 16_000
"""Longest answer that is shown to a judge, in characters."""
_TOKENS = 256
_POINTS = re.compile(r"score\W{0,5}(\d{1,3}(?:\.\d{1,3})?)", re.IGNORECASE)
_GOOD_ENOUGH = 0.8

_REQUEST = (
    "A proposed answer to the question above stands between the lines. Look for mistakes in it. Say in one "
    "or two sentences what is wrong, if anything. End with one line that begins with 'Score:' and holds a "
    "number from 0 (certainly wrong) to 10 (certainly right).\n---\n{answer}\n---"
)


def require_judge(verifier: Verifier | None, judge: Judge | None, strategy: str) -> None:
    """Refuses to go on where nobody judges.

    Raises:
        InvalidRequest: There is neither a verifier nor the wish that the model judges itself.
    """
    if verifier is None and judge is None:
        raise InvalidRequest(
            f"The strategy '{strategy}' needs a verifier. Send one, or let the model judge itself with "
            "judge: model; the answer is then labelled as judged by the model.",
            param="zoran.verifier",
        )


async def self_judged(
    messages: Sequence[Message], answer: str, ask: Ask, strategy: str, parent: int
) -> Verdict | None:
    """What the model says of an answer of its own; None where it gave no score.

    Raises:
        BudgetSpent: It does not fit.
        ZoranError: The model did not answer.
    """
    request = _REQUEST.replace("{answer}", answer[:MOST_SHOWN])
    said, used = await ask.one(with_request(messages, request), Sampling(max_tokens=_TOKENS))
    found = _POINTS.findall(said.text)
    score = min(float(found[-1]) / 10, 1.0) if found else None
    detail = {**LABEL, "ok": None if score is None else score >= _GOOD_ENOUGH, "score": score}
    ask.trace.step(strategy, "verdict", said.text, parent=parent, used=used, **detail)
    if score is None:
        return None
    return Verdict(score >= _GOOD_ENOUGH, _POINTS.sub("", said.text).strip(), score)
