import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from zoran_ray.messages import FleetSnapshot, ModelInfo, ReplicaInfo
from zoran_ray.telemetry import metrics as metrics_module
from zoran_ray.telemetry import names
from zoran_ray.telemetry.metrics import GatewayMetrics, Outcome

CHAT = "/v1/chat/completions"
POCKET = "local/pocket"


def model(name: str = POCKET, min_replicas: int = 1) -> ModelInfo:
    return ModelInfo(name, (), "g1", "app", "embedded", min_replicas=min_replicas)


def replica(replica_id: str, state: str = "ready") -> ReplicaInfo:
    return ReplicaInfo(
        replica_id, POCKET, "g1", "http://127.0.0.1:1", "s3cret", 8, 512, ("generate",), state=state
    )


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> GatewayMetrics:
    metrics = GatewayMetrics(registry)
    metrics.observe_fleet(FleetSnapshot(models={POCKET: model()}))
    return metrics


STREAMED = Outcome(
    CHAT,
    POCKET,
    200,
    duration_s=1.1,
    overhead_s=0.0004,
    ttft_s=0.1,
    input_tokens=64,
    output_tokens=11,
    cached_tokens=32,
    relayed_bytes=900,
)


def test_a_streamed_answer_is_counted_everywhere(
    metrics: GatewayMetrics, registry: CollectorRegistry
) -> None:
    metrics.observe(STREAMED)
    read = registry.get_sample_value
    labels = {"endpoint": CHAT, "model": POCKET}
    assert read(names.REQUESTS, {**labels, "code": "200", "class": "2xx"}) == 1
    assert read(f"{names.REQUEST_DURATION}_sum", labels) == pytest.approx(1.1)
    assert read(f"{names.TTFT}_sum", {"model": POCKET}) == pytest.approx(0.1)
    assert read(f"{names.TPOT}_sum", {"model": POCKET}) == pytest.approx(0.1)
    assert read(f"{names.OVERHEAD}_bucket", {"endpoint": CHAT, "le": "0.0005"}) == 1
    assert [read(names.TOKENS, {"model": POCKET, "kind": k}) for k in names.TOKEN_KINDS] == [64, 11, 32]
    assert read(names.RELAYED_BYTES, {"model": POCKET}) == 900


def test_what_went_wrong_is_counted(metrics: GatewayMetrics, registry: CollectorRegistry) -> None:
    metrics.observe(
        Outcome(CHAT, POCKET, 499, 0.5, relay_error="upstream_error", retries=2, disconnected=True)
    )
    metrics.observe(Outcome(CHAT, "", 429, 0.001, rejected="rate_limit_exceeded"))
    metrics.observe(Outcome(CHAT, "", 400, 0.001, rejected="made_up"))
    read = registry.get_sample_value
    assert read(names.RELAY_ERRORS, {"kind": "upstream_error"}) == 1
    assert read(names.REPLICA_RETRIES, {"model": POCKET}) == 2
    assert read(names.CLIENT_DISCONNECTS, {"model": POCKET}) == 1
    assert read(names.REJECTED, {"reason": "rate_limit_exceeded"}) == 1
    assert read(names.REJECTED, {"reason": "other"}) == 1


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(), st.text(), st.integers()), max_size=30))
def test_no_input_invents_a_label(seen: list[tuple[str, str, int]]) -> None:
    registry = CollectorRegistry()
    metrics = GatewayMetrics(registry)
    metrics.observe_fleet(FleetSnapshot(models={POCKET: model()}))
    for endpoint, name, code in seen:
        metrics.observe(Outcome(endpoint, name, code, 0.1, rejected=name, relay_error=endpoint))
        metrics.waiting(name).inc()
    allowed = {
        names.ENDPOINT: names.ENDPOINTS | {"other"},
        names.MODEL: {POCKET, "other"},
        names.CODE: names.STATUS_CODES | {"other"},
        names.REASON: names.ERROR_CODES | {*names.LOST_REASONS, "other"},
        names.KIND: names.ERROR_CODES | {*names.TOKEN_KINDS, "other"},
    }
    for family in registry.collect():
        for sample in family.samples:
            for label, value in sample.labels.items():
                assert value in allowed.get(label, {value})


def test_series_are_bounded_however_many_models_come_and_go(
    monkeypatch: pytest.MonkeyPatch, metrics: GatewayMetrics, registry: CollectorRegistry
) -> None:
    monkeypatch.setattr(metrics_module, "MAX_SERIES", 3)
    for i in range(20):
        name = f"local/m{i}"
        metrics.observe_fleet(FleetSnapshot(models={name: model(name)}))
        metrics.observe(Outcome(CHAT, name, 200, 0.1))
    labels = {"endpoint": CHAT, "code": "200", "class": "2xx"}
    assert registry.get_sample_value(names.REQUESTS, {**labels, "model": "local/m2"}) == 1
    assert registry.get_sample_value(names.REQUESTS, {**labels, "model": "other"}) == 17


def test_the_fleet_shows_as_gauges_and_gone_models_leave(
    metrics: GatewayMetrics, registry: CollectorRegistry
) -> None:
    replicas = (replica("r1"), replica("r2"), replica("r3", "draining"))
    metrics.observe_fleet(FleetSnapshot(models={POCKET: model(min_replicas=2)}, replicas=replicas))
    read = registry.get_sample_value
    assert read(names.REPLICAS, {"model": POCKET, "state": "ready"}) == 2
    assert read(names.REPLICAS, {"model": POCKET, "state": "draining"}) == 1
    assert read(names.MIN_REPLICAS, {"model": POCKET}) == 2
    metrics.observe_fleet(FleetSnapshot())
    assert read(names.REPLICAS, {"model": POCKET, "state": "ready"}) is None


def test_inflight_and_waiting_move_by_hand(metrics: GatewayMetrics, registry: CollectorRegistry) -> None:
    with metrics.inflight.track_inprogress(), metrics.waiting(POCKET).track_inprogress():
        assert registry.get_sample_value(names.INFLIGHT) == 1
        assert registry.get_sample_value(names.QUEUE_WAITING, {"model": POCKET}) == 1
    assert registry.get_sample_value(names.INFLIGHT) == 0


def test_every_metric_is_named_in_names(metrics: GatewayMetrics, registry: CollectorRegistry) -> None:
    metrics.observe(STREAMED)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    exposed = {f"{f.name}_total" if f.type == "counter" else f.name for f in families}
    assert {name for name in exposed if not name.endswith("_created")} == names.METRICS - {names.PART_UP}


def test_time_per_token_needs_a_stream_of_two() -> None:
    assert STREAMED.per_token_s == pytest.approx(0.1)
    assert dataclasses.replace(STREAMED, output_tokens=1).per_token_s is None
    assert dataclasses.replace(STREAMED, ttft_s=None).per_token_s is None
    assert dataclasses.replace(STREAMED, duration_s=0.05).per_token_s == 0
