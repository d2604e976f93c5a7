"""The names of OpenTelemetry's conventions: the same numbers as ours."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from zoran_ray.messages import FleetSnapshot, ModelInfo
from zoran_ray.telemetry import GatewayMetrics, Outcome, gen_ai_text, names

MODEL = 'local/"m"\\,{x="y"}'
"""Whatever a model is called."""
CHAT, ANTHROPIC, LIST = "/v1/chat/completions", "/v1/messages", "/v1/models"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def text() -> str:
    registry = CollectorRegistry()
    metrics = GatewayMetrics(registry)
    metrics.observe_fleet(FleetSnapshot(models={MODEL: ModelInfo(MODEL, (), "g", "app", "embedded")}))
    for endpoint, duration_s in ((CHAT, 0.5), (ANTHROPIC, 1.5), (LIST, 9.0)):
        metrics.observe(Outcome(endpoint, MODEL, 200, duration_s))
    metrics.observe(Outcome(CHAT, MODEL, 200, 2.0, ttft_s=0.2, output_tokens=10))
    return generate_latest(registry).decode()


def samples(text: str) -> Samples:
    found = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(sample.name, frozenset(sample.labels.items())): sample.value for sample in found}


def test_endpoints_of_one_operation_are_one_and_those_of_none_are_left_out(text: str) -> None:
    told = samples(gen_ai_text(text))

    def read(suffix: str, **more: str) -> float:
        labels = {"gen_ai_request_model": MODEL, "gen_ai_operation_name": "chat", **more}
        return told[f"{names.GEN_AI_DURATION}_{suffix}", frozenset(labels.items())]

    assert read("count") == read("bucket", le="+Inf") == 3
    assert read("sum") == 4.0
    assert read("bucket", le="0.64") == 1
    operations = {dict(labels).get("gen_ai_operation_name", "chat") for _, labels in told}
    assert operations == {"chat"}


@pytest.mark.parametrize(
    ("theirs", "ours"), [(names.GEN_AI_TTFT, names.TTFT), (names.GEN_AI_TPOT, names.TPOT)]
)
def test_times_of_tokens_are_ours(text: str, theirs: str, ours: str) -> None:
    own, twin = samples(text), samples(gen_ai_text(text))
    for suffix in ("count", "sum"):
        told = twin[f"{theirs}_{suffix}", frozenset({("gen_ai_request_model", MODEL)})]
        assert told == own[f"{ours}_{suffix}", frozenset({("model", MODEL)})]
        assert told


def test_of_what_was_never_measured_there_is_nothing() -> None:
    registry = CollectorRegistry()
    GatewayMetrics(registry)
    assert gen_ai_text(generate_latest(registry).decode()) == ""
