"""A verifier that says what it said then: replays need neither the tests nor the functions that judged."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from zoran_ray.errors import InvalidRequest, RecordNotFound
from zoran_ray.reasoning.verifier import Verdict


class RecordedVerifier:
    """Gives the verdicts that a trace has: that of the same answer, or else the next one.

    Judging took its time then: a verdict is held back until all steps before it were made.

    Args:
        trace: As `Trace.as_json` gives it, also after it went through JSON.
        name: Whose verdicts.
        steps: How many steps were made so far.
        patience_s: Longest that a verdict is held back.

    Raises:
        InvalidRequest: It is no trace.
    """

    def __init__(
        self, trace: Mapping[str, Any], name: str, steps: Callable[[], int], patience_s: float
    ) -> None:
        self._name = name
        self._steps = steps
        self._patience_s = patience_s
        try:
            texts = {step["id"]: step["text"] for step in trace["steps"]}
            self._said = [
                (texts.get(step["parent"]), step)
                for step in trace["steps"]
                if step["kind"] == "verdict" and step["detail"].get("verifier") == name
            ]
        except (KeyError, TypeError, AttributeError):
            raise InvalidRequest("This is no trace: its steps cannot be read.", param="trace") from None

    @property
    def name(self) -> str:
        """In traces."""
        return self._name

    async def __call__(self, answer: str) -> Verdict:
        """As then. Raises: RecordNotFound: The trace has no more verdicts, or it did not judge then."""
        if not self._said:
            raise RecordNotFound("The trace has no more verdicts: replay it as it was made.")
        place = next((place for place, (text, _) in enumerate(self._said) if text == answer), 0)
        _, step = self._said.pop(place)
        ends = time.monotonic() + self._patience_s
        while self._steps() < step["id"] - 1 and time.monotonic() < ends:
            await asyncio.sleep(0)  # a timer would let the next recorded call go first
        ok, detail = step["detail"].get("ok"), step["detail"]
        if not isinstance(ok, bool):
            raise RecordNotFound("The verifier gave no verdict then.")
        return Verdict(ok, step["text"], detail.get("score", float(ok)))
