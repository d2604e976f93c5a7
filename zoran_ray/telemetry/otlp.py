"""Spans sent to an OpenTelemetry collector over OTLP/HTTP: batched, bounded, from a thread of its own.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

import threading
from collections.abc import Mapping
from types import TracebackType
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from zoran_ray.errors import ConfigError
from zoran_ray.telemetry import names
from zoran_ray.telemetry.traces import CLOSE_TIMEOUT_S, Attribute, Span, Tracing

MAX_QUEUED_SPANS = 2048
"""Finished spans that wait for export; past this the oldest is dropped."""
EXPORT_INTERVAL_S = 2.0
EXPORT_TIMEOUT_S = 5.0
_PROPAGATOR = TraceContextTextMapPropagator()


class OtlpTracing(Tracing):
    """Exports spans in batches from a thread of its own. A collector that fails costs spans only."""

    def __init__(self, endpoint: str, service: str) -> None:
        exporter = OTLPSpanExporter(endpoint=_traces_url(endpoint), timeout=EXPORT_TIMEOUT_S)
        self._provider = TracerProvider(
            resource=Resource.create({SERVICE_NAME: service}), shutdown_on_exit=False
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(
                exporter,
                max_queue_size=MAX_QUEUED_SPANS,
                schedule_delay_millis=EXPORT_INTERVAL_S * 1000,
                max_export_batch_size=MAX_QUEUED_SPANS // 4,
            )
        )
        self._tracer = self._provider.get_tracer("zoran_ray")

    def span(self, name: str, parent_headers: Mapping[str, str]) -> Span:
        # An empty context, not the current one: spans of other libraries are none of ours.
        context = _PROPAGATOR.extract(parent_headers, Context())
        return _RecordedSpan(
            self._tracer.start_span(
                name,
                context,
                kind=trace.SpanKind.SERVER,
                record_exception=False,
                set_status_on_exception=False,
            )
        )

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        # The SDK's own shutdown waits up to 30 s for a collector that does not answer.
        closing = threading.Thread(target=self._provider.shutdown, name="otlp-close", daemon=True)
        closing.start()
        closing.join(timeout_s)


class _RecordedSpan(Span):
    def __init__(self, span: trace.Span) -> None:
        headers: dict[str, str] = {}
        _PROPAGATOR.inject(headers, trace.set_span_in_context(span, Context()))
        super().__init__(headers)
        self._span = span

    def set(self, attributes: Mapping[str, Attribute]) -> None:
        for name, value in attributes.items():
            if name in names.SPAN_ATTRIBUTES:
                self._span.set_attribute(name, value)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if kind is not None:
            self.set({names.ERROR_TYPE: kind.__qualname__})
            self._span.set_status(trace.StatusCode.ERROR)
        self._span.end()


def _traces_url(endpoint: str) -> str:
    try:
        url = urlsplit(endpoint)
        usable = url.scheme in ("http", "https") and bool(url.hostname)
    except ValueError:
        usable = False
    if not usable:
        # The endpoint itself stays out of the message: it may hold credentials.
        raise ConfigError(
            "otlp_endpoint (OTEL_EXPORTER_OTLP_ENDPOINT) must be a URL such as http://collector:4318",
            param="otlp_endpoint",
        )
    return endpoint.rstrip("/").removesuffix("/v1/traces") + "/v1/traces"
