"""What a request turned out to be, written down once at its end."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from serve_apps.gateway.outgoing import Outgoing
from zoran_ray.access.money import usd
from zoran_ray.errors import RequestError, UpstreamError, ZoranError
from zoran_ray.telemetry import Outcome
from zoran_ray.wire import Endpoint, Usage


@dataclass(slots=True)
class Account:
    """Filled in along the path of one request.

    Attributes:
        model: Public name of whoever is asked, empty until that is known.
        usage: What the engine counted; for a stream cut short, its events stand for its tokens.
        answer: A whole answer's JSON.
        overhead_s: Seconds until the engine was asked, None if it never was.
        tries: Replicas and providers asked.
        failed: Names of the arms whose tries failed.
        route_reason: Why the router chose the first arm, empty if the caller did.
        cost_nano: What all tries did cost, in nano-USD.
        error: Why it failed, None if it did not.
        events: Events of a stream seen so far.
        engine_failed: The engine itself ended a stream with an error event.
        score: What an agent's answer seems worth, 0..1; None where one judges by the answer's own signs.
        settle: Told how many tokens were used.
    """

    endpoint: Endpoint
    model: str = ""
    usage: Usage | None = None
    answer: object = None
    overhead_s: float | None = None
    tries: int = 0
    failed: list[str] = field(default_factory=list)
    cost_nano: int = 0
    route_reason: str = ""
    error: ZoranError | None = None
    disconnected: bool = False
    events: int = 0
    engine_failed: bool = False
    score: float | None = None
    settle: Callable[[int], None] = field(default=lambda tokens: None)

    @property
    def total_tokens(self) -> int:
        """Prompt and completion tokens."""
        return self.usage.total_tokens if self.usage else 0

    def begin(self, model: str) -> None:
        """Another try begins."""
        self.model, self.usage, self.answer = model, None, None

    def outcome(self, outgoing: Outgoing) -> Outcome:
        """The account as metrics and traces see it."""
        usage, error, asked = self.usage or Usage(), self.error, self.overhead_s is not None
        # What the caller got wrong is no failure of the relay, even if it was the engine that noticed.
        broken = error is not None and not isinstance(error, RequestError)
        return Outcome(
            endpoint=self.endpoint.path,
            model=self.model,
            code=499 if self.disconnected else outgoing.status,
            duration_s=time.perf_counter() - outgoing.started,
            overhead_s=self.overhead_s,
            ttft_s=outgoing.ttft_s,
            input_tokens=usage.prompt_tokens,
            output_tokens=usage.completion_tokens,
            cached_tokens=usage.cached_tokens,
            relayed_bytes=outgoing.sent_bytes,
            rejected=error.code if error and not asked else None,
            relay_error=_relay_error(error if broken and asked else None, self.engine_failed),
            retries=max(0, self.tries - 1),
            disconnected=self.disconnected,
            cost_usd=usd(self.cost_nano),
            route_reason=self.route_reason,
        )


def _relay_error(error: ZoranError | None, engine_failed: bool) -> str | None:
    if error:
        return error.code
    return UpstreamError.code if engine_failed else None
