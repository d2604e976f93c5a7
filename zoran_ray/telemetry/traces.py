"""Spans of one operation, or nothing at the same cost to the caller: no `if` where they are used.

`Tracing.from_endpoint` answers an object that exports when there is an OTLP endpoint and one that does
nothing when there is none. W3C trace context comes in and goes out either way, so that the engine's own
spans join the caller's trace. Spans carry only attributes from `names.SPAN_ATTRIBUTES`: never content.

Source: https://www.w3.org/TR/trace-context/
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from zoran_ray.telemetry import names
from zoran_ray.telemetry.metrics import Outcome

CLOSE_TIMEOUT_S = 5.0
_PROPAGATED = ("traceparent", "tracestate")

Attribute = str | int | float | bool


class Span:
    """One timed operation, used with `with`. This one records nothing and hands the trace context on.

    Attributes:
        headers: What to send downstream so that its spans become children of this one.
    """

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.headers = headers

    def set(self, attributes: Mapping[str, Attribute]) -> None:
        """Attach attributes; those not in `names.SPAN_ATTRIBUTES` are dropped."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """End the span; an exception marks it as failed with the name of its type alone."""


class Tracing:
    """Makes spans. This one makes spans that record nothing."""

    @staticmethod
    def from_endpoint(endpoint: str | None, service: str) -> "Tracing":
        """Choose by configuration.

        Args:
            endpoint: Base URL of an OTLP/HTTP collector (`http://collector:4318`), None for no tracing.
            service: `service.name` of the spans.

        Raises:
            ConfigError: If the endpoint is not an http(s) URL.
        """
        if endpoint is None:
            return Tracing()
        # Imported here: the exporter costs every start 0.2 s, and most have no collector.
        from zoran_ray.telemetry.otlp import OtlpTracing

        return OtlpTracing(endpoint, service)

    def span(self, name: str, parent_headers: Mapping[str, str]) -> Span:
        """Start a span, under the caller's if its headers (lower-case names) carry a trace context."""
        return Span({name: parent_headers[name] for name in _PROPAGATED if name in parent_headers})

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Export what is still queued, for at most `timeout_s` seconds."""


def outcome_attributes(outcome: Outcome) -> dict[str, Attribute]:
    """What a span may say about a finished request: numbers, and names we chose."""
    attributes: dict[str, Attribute] = {
        names.HTTP_ROUTE: outcome.endpoint,
        names.HTTP_STATUS: outcome.code,
        names.SERVER_DURATION: outcome.duration_s,
        names.INPUT_TOKENS: outcome.input_tokens,
        names.OUTPUT_TOKENS: outcome.output_tokens,
        names.CACHED_TOKENS: outcome.cached_tokens,
    }
    if outcome.model:
        attributes[names.REQUEST_MODEL] = outcome.model
    if operation := names.OPERATIONS.get(outcome.endpoint):
        attributes[names.OPERATION_NAME] = operation
    if outcome.ttft_s is not None:
        attributes[names.SERVER_TTFT] = outcome.ttft_s
    if failure := outcome.rejected or outcome.relay_error:
        attributes[names.ERROR_TYPE] = failure
    return attributes
