"""Metrics, logs and traces. Knows Prometheus and OpenTelemetry; no Ray, no HTTP framework."""

from zoran_ray.telemetry.exposition import merge
from zoran_ray.telemetry.figures import Figure, figures_text
from zoran_ray.telemetry.gen_ai import gen_ai_text
from zoran_ray.telemetry.logs import bind_request_id, configure
from zoran_ray.telemetry.metrics import GatewayMetrics, Outcome
from zoran_ray.telemetry.traces import Span, Tracing, outcome_attributes

__all__ = [
    "Figure",
    "GatewayMetrics",
    "Outcome",
    "Span",
    "Tracing",
    "bind_request_id",
    "configure",
    "figures_text",
    "gen_ai_text",
    "merge",
    "outcome_attributes",
]
