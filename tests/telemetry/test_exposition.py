from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from zoran_ray.telemetry import names
from zoran_ray.telemetry.exposition import merge


def exposition(value: float, label: str = "a") -> str:
    registry = CollectorRegistry()
    Counter("t_requests", "Requests.\nAll of them \\ here.", ("path",), registry=registry).labels(
        label
    ).inc(value)
    histogram = Histogram("t_seconds", "Time.", buckets=(1.0,), registry=registry)
    histogram.observe(value)
    Gauge("t_plain", "No labels.", registry=registry).set(float("nan"))
    return generate_latest(registry).decode()


def samples(text: str, name: str) -> Iterator[Sample]:
    for family in text_string_to_metric_families(text):
        yield from (sample for sample in family.samples if sample.name == name)


def test_labels_are_added_and_families_come_once() -> None:
    merged = merge([({"gateway": "g1"}, exposition(1)), ({"replica": "r1"}, exposition(2))])
    assert [(s.labels, s.value) for s in samples(merged, "t_requests_total")] == [
        ({"path": "a", "gateway": "g1"}, 1),
        ({"path": "a", "replica": "r1"}, 2),
    ]
    for line in (
        "# TYPE t_seconds histogram",
        "# HELP t_requests_total Requests.\\nAll of them \\\\ here.",
    ):
        assert merged.count(line) == 1
    assert len(list(samples(merged, "t_seconds_bucket"))) == 4


def test_samples_of_a_family_stand_together() -> None:
    merged = merge([({"gateway": g}, exposition(1)) for g in "abc"])
    order = [line.split("{")[0].split(" ")[0] for line in merged.splitlines() if not line.startswith("#")]
    families = [name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in order]
    changes = sum(a != b for a, b in pairwise(families))
    assert changes == len(set(families)) - 1


def test_a_label_that_is_already_there_is_kept_aside() -> None:
    merged = merge([({"path": "mine"}, exposition(1, "theirs"))])
    (sample,) = samples(merged, "t_requests_total")
    assert sample.labels == {"path": "mine", "exported_path": "theirs"}
    (twice,) = samples(merge([({"path": "ours"}, merged)]), "t_requests_total")
    assert twice.labels == {"path": "ours", "exported_exported_path": "mine", "exported_path": "theirs"}


def test_a_repeated_series_is_kept_once() -> None:
    merged = merge([({"gateway": "g"}, exposition(1)), ({"gateway": "g"}, exposition(2))])
    (sample,) = samples(merged, "t_requests_total")
    assert sample.value == 1


@pytest.mark.parametrize(
    "broken",
    [
        "<html>502 Bad Gateway</html>",
        "t_requests_total{path=} 1",
        't_requests_total{path="a} 1',
        "t_requests_total one",
        "t_requests_total",
        "t_requests_total 1 2 3",
        "t_requests_total{} ",
        "1up 1",
        "t_requests_total 1_000",
        "t_requests_total ١",
        "# TYPE t_requests_total something",
        'good 1\nbad{le="+Inf} 3',
    ],
)
def test_a_malformed_part_is_left_out_whole_and_reported(broken: str) -> None:
    merged = merge([({"replica": "bad"}, broken), ({"replica": "good"}, exposition(3))])
    assert {s.labels["replica"]: s.value for s in samples(merged, names.PART_UP)} == {"bad": 0, "good": 1}
    assert [s.value for s in samples(merged, "t_requests_total")] == [3]
    assert "good 1" not in merged


def test_nothing_merges_to_nothing() -> None:
    assert merge([]) == "\n"


def test_braces_and_timestamps_in_samples_survive() -> None:
    line = 't_odd{path="/a{id}, \\"b\\" \\\\",} 4.2e-05 1700000000000'
    (sample,) = samples(merge([({"g": "1"}, line)]), "t_odd")
    assert sample.labels == {"path": '/a{id}, "b" \\', "g": "1"}
    assert (sample.value, sample.timestamp) == (4.2e-05, 1_700_000_000)


@settings(deadline=None)
@given(st.text(), st.text(), st.floats())
def test_any_label_value_survives_the_round_trip(own: str, added: str, value: float) -> None:
    registry = CollectorRegistry()
    Gauge("t_gauge", "Any.", ("own",), registry=registry).labels(own).set(value)
    text = generate_latest(registry).decode()
    merged = merge([({"added": added}, text)])
    (sample,) = samples(merged, "t_gauge")
    assert sample.labels == {"own": own, "added": added}
    assert repr(sample.value) == repr(value)


@settings(deadline=None)
@given(st.text())
def test_no_text_breaks_the_other_parts(text: str) -> None:
    merged = merge([({"part": "any"}, text), ({"part": "good"}, exposition(1))])
    assert any(s.labels == {"path": "a", "part": "good"} for s in samples(merged, "t_requests_total"))
