import re

from zoran_ray import errors
from zoran_ray.telemetry import names


def test_our_metrics_begin_with_zoran_and_follow_prometheus_naming() -> None:
    ours = names.METRICS | frozenset(names.FIGURES) | names.TASK_METRICS
    assert all(re.fullmatch(r"zoran_[a-z]+(_[a-z]+)*", name) for name in ours)


def test_no_label_names_a_person() -> None:
    labels = {names.ENDPOINT, names.MODEL, names.CODE, names.CLASS, names.KIND, names.REASON, names.STATE}
    assert labels.isdisjoint({"user", "key", "key_id", "session", "tenant"})


def test_every_error_of_the_tree_is_a_known_reason() -> None:
    assert {errors.Overloaded.code, errors.UpstreamError.code, "internal_error"} <= names.ERROR_CODES


def test_buckets_ascend() -> None:
    for buckets in (
        names.DURATION_BUCKETS,
        names.FIRST_TOKEN_BUCKETS,
        names.PER_TOKEN_BUCKETS,
        names.OVERHEAD_BUCKETS,
    ):
        assert list(buckets) == sorted(set(buckets))
