"""One provider's model at one gateway: who gets through to it, and how long it may keep silent.

Knows no HTTP of ours and no other arm. Waiting for a place, being taken out of the choice and giving up a
replaced engine only when nobody uses it any more all happen here.
"""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from zoran_ray.engines.arm_gate import ArmGate
from zoran_ray.engines.breaker import Breaker, BreakerPolicy, arms_fault
from zoran_ray.engines.protocol import Engine, EngineReply, EngineRequest
from zoran_ray.engines.providers.build import Engines
from zoran_ray.errors import ConfigError, DeadlineExceeded, ProviderRefused, ZoranError
from zoran_ray.offers import ArmSpec

_FAIR_S = 5.0
"""An arm that a request's deadline gave less than this may be slow for that reason alone."""

_TICK_S = 0.02
"""An event loop ends a wait by its own clock, which stands still while it works."""


class Asked:
    """An arm while one request has a place at it: an `Engine` that waits no longer than the arm allows."""

    __slots__ = ("_engine", "_name", "_timeout_s", "began", "begun")

    def __init__(self, engine: Engine, spec: ArmSpec, began: float) -> None:
        self._engine = engine
        self._name = spec.name
        self._timeout_s = spec.timeout_s
        self.began = began
        self.begun = False

    async def open(self, request: EngineRequest) -> EngineReply:
        """As `Engine.open`; an answer must begin, and go on after a pause, within the arm's `timeout_s`."""
        bounded = dataclasses.replace(request, stall_s=min(request.stall_s, self._timeout_s))
        try:
            async with asyncio.timeout(self._timeout_s):
                reply = await self._engine.open(bounded)
        except TimeoutError:
            raise DeadlineExceeded(
                f"'{self._name}' did not begin to answer within {self._timeout_s:g} s."
            ) from None
        self.begun = True
        return reply


class _Seat:
    """An engine and how many requests use it."""

    __slots__ = ("engine", "left", "users")

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.users = 0
        self.left = False


class Arm:
    """One arm of the catalogue.

    Args:
        engines: Where its engine comes from and goes to.
        clock: Monotonic seconds, those of the deadlines.

    Attributes:
        spec: As the catalogue has it now.
        problem: Why it has no engine, None if it has one.
    """

    def __init__(
        self, spec: ArmSpec, engines: Engines, clock: Callable[[], float], policy: BreakerPolicy
    ) -> None:
        self._engines = engines
        self._clock = clock
        self._policy = policy
        self._gate = ArmGate(spec.name, spec.max_concurrency, spec.max_queued, clock)
        self._breaker = Breaker(spec.name, clock, policy)
        self._seat: _Seat | None = None
        self._last_fault = ""
        self.spec = spec
        self.problem: str | None = None
        self.update(spec)

    def update(self, spec: ArmSpec) -> None:
        """Takes over the entry and reads the key again. Requests under way go on as they began."""
        self.spec = spec
        self._gate.resize(spec.max_concurrency, spec.max_queued)
        old = self._seat.engine if self._seat else None
        try:
            engine = self._engines.build(spec, old)
        except ConfigError as error:
            self.problem = error.message
            self.leave()
            return
        self.problem = None
        if engine is not old:
            self.leave()
            self._seat = _Seat(engine)
            # What failed was another address, key or model.
            self._breaker = Breaker(spec.name, self._clock, self._policy)
            self._last_fault = ""

    def leave(self) -> None:
        """Gives up the engine, as soon as nobody uses it."""
        seat, self._seat = self._seat, None
        if seat is not None:
            seat.left = True
            self._drop_unused(seat)

    @property
    def usable(self) -> bool:
        """Whether a request would be let through now."""
        return self._seat is not None and self._breaker.usable

    def why_not(self) -> str | None:
        """Why it is not usable, for the operator; None if it is."""
        if self.problem is not None or self._seat is None:
            return self.problem or "It is not in the catalogue any more."
        if not (wait_s := self._breaker.wait_s):
            return None
        return f"It has been failing and is left alone for {wait_s:.1f} s. Last: {self._last_fault}"

    def refusal(self) -> ZoranError | None:
        """The error a caller would get now, None if it is usable."""
        try:
            self._check()
        except ZoranError as error:
            return error
        return None

    @asynccontextmanager
    async def asking(self, deadline: float) -> AsyncIterator[Asked]:
        """A place for one request, from its beginning to the end of its answer.

        Args:
            deadline: When the whole request must be over, in seconds of the clock.

        Raises:
            ProviderRefused: It has no key.
            Unavailable: It is out of the choice.
            Overloaded: Too many wait for a place already.
            DeadlineExceeded: No place came free within the arm's `timeout_s`, or before the deadline.
        """
        seat = self._check()
        seat.users += 1
        try:
            async with self._gate.place(min(deadline, self._clock() + self.spec.timeout_s)):
                asked = Asked(seat.engine, self.spec, self._clock())
                with self._breaker.watch(lambda error: self._is_fault(error, asked)):
                    yield asked
        finally:
            seat.users -= 1
            self._drop_unused(seat)

    def row(self) -> dict[str, Any]:
        """Its state, for people and metrics. Nothing secret, no prompt."""
        failures, results = self._breaker.failures()
        return {
            "name": self.spec.name,
            "provider": self.spec.provider,
            "usable": self.usable,
            "why_not": self.why_not(),
            "held": self._gate.held,
            "queued": self._gate.queued,
            "breaker": self._breaker.state,
            "failures": failures,
            "results": results,
        }

    def _check(self) -> _Seat:
        if self._seat is None:
            raise ProviderRefused(
                f"'{self.spec.name}' is not set up: the operator must look at its API key. Choose another"
                " model."
            )
        self._breaker.check()
        return self._seat

    def _is_fault(self, error: BaseException, asked: Asked) -> bool:
        if not arms_fault(error):
            return False
        took_s = self._clock() - asked.began
        if isinstance(error, DeadlineExceeded) and took_s + _TICK_S < min(_FAIR_S, self.spec.timeout_s):
            return False
        self._last_fault = _told(error, asked)
        return True

    def _drop_unused(self, seat: _Seat) -> None:
        if seat.left and not seat.users:
            self._engines.drop(seat.engine)


def _told(fault: BaseException, asked: Asked) -> str:
    if not isinstance(fault, ZoranError):
        return type(fault).__name__
    # What a provider says in the middle of an answer may quote the prompt. Before it, the words are ours.
    return f"An answer broke off ({fault.code})." if asked.begun else fault.message
