"""What a role has at hand, each at the other end: the model, the verifier, tools, passages. No Ray.

`agents.run` passes on what is wanted; whoever sent the job does it, under its own rules.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from zoran_ray.agents.messages import Find, Reply, Use, Want
from zoran_ray.errors import ZoranError
from zoran_ray.reasoning.acting import Tools
from zoran_ray.reasoning.completion import Completions, Message, Sampling, Used
from zoran_ray.reasoning.searching import Found
from zoran_ray.reasoning.verifier import Verdict
from zoran_ray.tools.tool import Observation
from zoran_ray.tools.toolbox import Offer

Passes = Callable[[Want], Awaitable[Reply]]
"""Passes a want on, whatever its number, and gives the reply. Raises: BudgetSpent, ZoranError."""


class Asked:
    """The model; see `reasoning.Complete`."""

    def __init__(self, passes: Passes) -> None:
        self._passes = passes

    async def __call__(
        self, messages: Sequence[Message], sampling: Sampling, *, deadline: float
    ) -> Completions:
        reply = await self._passes(Want(0, tuple(messages), sampling))
        assert reply.completions is not None
        return reply.completions

    def most(self, messages: Sequence[Message], sampling: Sampling) -> Used:
        return Used(calls=1)


class Judge:
    """The caller's verifier."""

    name = "verifier"

    def __init__(self, passes: Passes) -> None:
        self._passes = passes

    async def __call__(self, answer: str) -> Verdict:
        reply = await self._passes(Want(0, judge=answer))
        assert reply.verdict is not None
        return reply.verdict


class ToolsAtHand:
    """The request's tools; see `reasoning.Tools`.

    Attributes:
        offers: Those that may be used, once they are opened.
    """

    def __init__(self, passes: Passes) -> None:
        self._passes = passes
        self.offers: Sequence[Offer] = ()

    async def opened(self) -> Tools:
        """Asks which there are. Raises: ZoranError: They cannot be had."""
        reply = await self._passes(Want(0, opens=True))
        assert reply.offers is not None
        self.offers = reply.offers
        return self

    async def call(self, name: str, arguments: Mapping[str, Any], *, deadline: float) -> Observation:
        """As `Tools`."""
        left_s = max(0.0, deadline - time.monotonic())
        try:
            reply = await self._passes(Want(0, use=Use(name, dict(arguments), left_s)))
        except ZoranError as error:
            return Observation(error.message, ok=False)
        assert reply.seen is not None
        return reply.seen


class SearchAtHand:
    """What the request may search; see `reasoning.Search`."""

    def __init__(self, passes: Passes) -> None:
        self._passes = passes

    async def __call__(self, query: str, *, limit: int, deadline: float) -> Sequence[Found]:
        left_s = max(0.0, deadline - time.monotonic())
        reply = await self._passes(Want(0, find=Find(query, limit, left_s)))
        assert reply.found is not None
        return reply.found
