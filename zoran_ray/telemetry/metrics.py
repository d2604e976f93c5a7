"""What one gateway counts. Knows Prometheus, not HTTP: it is told outcomes.

The hot path makes one call per finished request. Label children are resolved once and kept, because
`labels()` alone costs more than all the counting; what is kept is bounded.
"""

import collections
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from zoran_ray.messages import FleetSnapshot
from zoran_ray.telemetry import names

MAX_SERIES = 1024
"""Pairs of endpoint and model kept apart; a pair past this is counted under the model `other`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one request ended, whatever its end.

    Attributes:
        endpoint: Path of the route, for example `/v1/chat/completions`.
        model: Public name the request was served under, empty if it named none we know.
        code: HTTP status sent to the client; 499 if the client left first.
        duration_s: From the request's head to the answer's last byte, in seconds.
        overhead_s: Time spent in the gateway before the upstream was asked, in seconds;
            None if it never was.
        ttft_s: From the request's head to the first relayed token, in seconds; None if not streamed.
        rejected: Error code for which the gateway refused the request, None if it did not.
        relay_error: Error code with which the relay failed, None if it went well.
        retries: Replicas tried after the first.
        cost_usd: What all its tries did cost.
        route_reason: Why the router chose this model, empty if the caller did.
    """

    endpoint: str
    model: str
    code: int
    duration_s: float
    overhead_s: float | None = None
    ttft_s: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    relayed_bytes: int = 0
    rejected: str | None = None
    relay_error: str | None = None
    retries: int = 0
    disconnected: bool = False
    cost_usd: float = 0.0
    route_reason: str = ""

    @property
    def per_token_s(self) -> float | None:
        """Mean time per output token after the first, in seconds; None if there was no second one."""
        if self.ttft_s is None or self.output_tokens < 2:
            return None
        return max(0.0, self.duration_s - self.ttft_s) / (self.output_tokens - 1)


class _Series:
    """Resolved label children of one endpoint and model."""

    __slots__ = (
        "bytes",
        "cached",
        "codes",
        "disconnects",
        "duration",
        "endpoint",
        "input",
        "model",
        "output",
        "overhead",
        "per_token",
        "retries",
        "ttft",
    )

    def __init__(self, metrics: "GatewayMetrics", endpoint: str, model: str) -> None:
        self.endpoint = endpoint
        self.model = model
        self.codes: dict[int, Counter] = {}
        self.duration = metrics.duration.labels(endpoint, model)
        self.overhead = metrics.overhead.labels(endpoint)
        self.ttft = metrics.ttft.labels(model)
        self.per_token = metrics.per_token.labels(model)
        self.input, self.output, self.cached = (metrics.tokens.labels(model, k) for k in names.TOKEN_KINDS)
        self.bytes = metrics.relayed_bytes.labels(model)
        self.disconnects = metrics.disconnects.labels(model)
        self.retries = metrics.retries.labels(model)


class GatewayMetrics:
    """Metrics of one gateway process.

    `inflight` is a plain gauge for the gateway to move (`track_inprogress()`); `waiting(model)`
    likewise for requests that wait for a replica.

    Args:
        registry: Where they are registered; a fresh one for each gateway.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        m, e, r = names.MODEL, names.ENDPOINT, registry
        self.requests = Counter(
            names.REQUESTS, "Finished requests.", (e, m, names.CODE, names.CLASS), registry=r
        )
        self.duration = Histogram(
            names.REQUEST_DURATION,
            f"Head of the request to last byte of the answer ({names.SERVER_DURATION}).",
            (e, m),
            buckets=names.DURATION_BUCKETS,
            registry=r,
        )
        self.ttft = Histogram(
            names.TTFT,
            f"Head of the request to first streamed token ({names.SERVER_TTFT}).",
            (m,),
            buckets=names.FIRST_TOKEN_BUCKETS,
            registry=r,
        )
        self.per_token = Histogram(
            names.TPOT,
            "Mean time per output token after the first (gen_ai.server.time_per_output_token).",
            (m,),
            buckets=names.PER_TOKEN_BUCKETS,
            registry=r,
        )
        self.overhead = Histogram(
            names.OVERHEAD,
            "Time in the gateway before the engine was asked.",
            (e,),
            buckets=names.OVERHEAD_BUCKETS,
            registry=r,
        )
        self.tokens = Counter(
            names.TOKENS, "Tokens; `cached` ones are part of `input`.", (m, names.KIND), registry=r
        )
        self.inflight = Gauge(names.INFLIGHT, "Requests this gateway holds.", registry=r)
        self._waiting = Gauge(
            names.QUEUE_WAITING, "Requests that wait here for a replica.", (m,), registry=r
        )
        self._rejected = Counter(
            names.REJECTED, "Requests refused, by reason.", (names.REASON,), registry=r
        )
        self._relay_errors = Counter(
            names.RELAY_ERRORS, "Relays that failed, by kind.", (names.KIND,), registry=r
        )
        self.retries = Counter(names.REPLICA_RETRIES, "Tries on another replica.", (m,), registry=r)
        self.disconnects = Counter(
            names.CLIENT_DISCONNECTS, "Clients that left before their answer.", (m,), registry=r
        )
        self.relayed_bytes = Counter(names.RELAYED_BYTES, "Bytes relayed to clients.", (m,), registry=r)
        self._replicas = Gauge(names.REPLICAS, "Replicas, by state.", (m, names.STATE), registry=r)
        self.map_entries = Gauge(
            names.MAP_ENTRIES, "Entries of maps that must stay bounded.", (names.MAP,), registry=r
        )
        self._min_replicas = Gauge(names.MIN_REPLICAS, "Replicas a model should have.", (m,), registry=r)
        self._cost = Counter(names.COST, "What requests did cost, in USD.", (m,), registry=r)
        self._routed = Counter(
            names.ROUTED, "Requests the router chose a model for.", (m, names.REASON), registry=r
        )
        self._mix = Gauge(
            names.MIX, "EMA mix of routed requests, by class of task.", (m, names.TASK), registry=r
        )
        self._rollbacks = Gauge(
            names.ROLLBACKS, "Rollbacks of the guard since the Resonator started.", registry=r
        )
        self._memory_lost = Counter(
            names.MEMORY_LOST,
            "Conversations that were to be remembered and were not.",
            (names.REASON,),
            registry=r,
        )
        for reason in names.LOST_REASONS:  # from 0 on: the first one is worth an alert
            self._memory_lost.labels(reason)
        self._masked = Counter(names.PRIVACY_MASKED, "Values masked, by kind.", (names.KIND,), registry=r)
        self._models: frozenset[str] = frozenset()
        self._remote: frozenset[str] = frozenset()
        self._series: dict[tuple[str, str], _Series] = {}

    def observe(self, outcome: Outcome) -> None:
        """Count one finished request."""
        series = self._series.get((outcome.endpoint, outcome.model))
        if series is None:
            series = self._resolve(outcome.endpoint, outcome.model)
        counter = series.codes.get(outcome.code)
        if counter is None:
            counter = self._code(series, outcome.code)
        counter.inc()
        series.duration.observe(outcome.duration_s)
        if outcome.overhead_s is not None:
            series.overhead.observe(outcome.overhead_s)
        if outcome.ttft_s is not None:
            series.ttft.observe(outcome.ttft_s)
            if (per_token_s := outcome.per_token_s) is not None:
                series.per_token.observe(per_token_s)
        _add(series.input, outcome.input_tokens)
        _add(series.output, outcome.output_tokens)
        _add(series.cached, outcome.cached_tokens)
        _add(series.bytes, outcome.relayed_bytes)
        if outcome.cost_usd > 0:
            self._cost.labels(series.model).inc(outcome.cost_usd)
        if outcome.route_reason:
            reason = _bounded(outcome.route_reason, names.ROUTE_REASONS)
            self._routed.labels(series.model, reason).inc()
        self._observe_trouble(series, outcome)

    def waiting(self, model: str) -> Gauge:
        """The gauge of requests that wait for a replica of `model`."""
        return self._waiting.labels(self._known(model))

    def memory_lost(self, reason: str) -> None:
        """Count a conversation that could not be written to the memory."""
        self._memory_lost.labels(_bounded(reason, names.LOST_REASONS)).inc()

    def observe_fleet(self, fleet: FleetSnapshot) -> None:
        """Learn which models there are (only those become label values) and count their replicas."""
        gone, self._models = self._models - set(fleet.models), frozenset(fleet.models)
        for model in gone:
            self._min_replicas.remove(model)
            for state in names.REPLICA_STATES:
                self._replicas.remove(model, state)
        held = collections.Counter[tuple[str, str]]((r.model, r.state) for r in fleet.replicas)
        for model, info in fleet.models.items():
            self._min_replicas.labels(model).set(info.min_replicas)
            for state in names.REPLICA_STATES:
                self._replicas.labels(model, state).set(held[model, state])

    def observe_masked(self, kind: str, count: int) -> None:
        """Count values that were masked."""
        self._masked.labels(_bounded(kind, names.PII_KINDS)).inc(count)

    def observe_catalogue(self, remote: Collection[str]) -> None:
        """Learn which models providers serve: those become label values too."""
        self._remote = frozenset(remote)

    def observe_routing(
        self, arms: Sequence[str], mixes: Mapping[str, Sequence[float]], rollbacks: int
    ) -> None:
        """Show what routing has come to.

        Args:
            arms: Names, K of them.
            mixes: For each class of task the mix over the K arms.
        """
        self._rollbacks.set(rollbacks)
        self._mix.clear()
        for task, mix in mixes.items():
            for arm, weight in zip(arms, mix, strict=True):
                self._mix.labels(self._known(arm), task).set(weight)

    def _observe_trouble(self, series: _Series, outcome: Outcome) -> None:
        if outcome.rejected is not None:
            self._rejected.labels(_bounded(outcome.rejected, names.ERROR_CODES)).inc()
        if outcome.relay_error is not None:
            self._relay_errors.labels(_bounded(outcome.relay_error, names.ERROR_CODES)).inc()
        _add(series.retries, outcome.retries)
        if outcome.disconnected:
            series.disconnects.inc()

    def _known(self, model: str) -> str:
        return model if model in self._models or model in self._remote else names.OTHER

    def _resolve(self, endpoint: str, model: str) -> _Series:
        key = _bounded(endpoint, names.ENDPOINTS), self._known(model)
        if key not in self._series and len(self._series) >= MAX_SERIES:
            key = key[0], names.OTHER
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = _Series(self, *key)
        return series

    def _code(self, series: _Series, status: int) -> Counter:
        """The request counter for this status; kept if it is a status HTTP knows."""
        code = _bounded(str(status), names.STATUS_CODES)
        status_class = names.OTHER if code == names.OTHER else f"{code[0]}xx"
        counter = self.requests.labels(series.endpoint, series.model, code, status_class)
        if code != names.OTHER:
            series.codes[status] = counter
        return counter


def _bounded(value: str, known: Collection[str]) -> str:
    return value if value in known else names.OTHER


def _add(counter: Counter, amount: int) -> None:
    if amount > 0:
        counter.inc(amount)
