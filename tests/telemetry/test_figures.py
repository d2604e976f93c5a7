import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from zoran_ray.telemetry import Figure, figures_text, merge, names


def test_samples_of_a_name_stand_together() -> None:
    up, down = (Figure(names.SHARD_UP, place == 0, {names.SHARD: f"shard-{place}"}) for place in (0, 1))
    assert figures_text([up, Figure(names.JOURNAL_ENTRIES, 7), down]) == (
        "# HELP zoran_journal_entries_total Entries of the journal.\n"
        "# TYPE zoran_journal_entries_total counter\n"
        "zoran_journal_entries_total 7.0\n"
        "# HELP zoran_memory_shard_up Whether a shard of the memory answers.\n"
        "# TYPE zoran_memory_shard_up gauge\n"
        'zoran_memory_shard_up{shard="shard-0"} 1.0\n'
        'zoran_memory_shard_up{shard="shard-1"} 0.0\n'
    )


def test_a_name_that_is_in_no_list_is_refused() -> None:
    with pytest.raises(KeyError):
        figures_text([Figure("zoran_made_up", 1)])


@given(st.dictionaries(st.text(), st.floats(allow_nan=False), max_size=8))
def test_whatever_a_label_holds_can_be_read_and_merged(values: dict[str, float]) -> None:
    text = figures_text(Figure(names.ROUTE_QUALITY, v, {names.MODEL: m}) for m, v in values.items())
    merged = merge([({names.ACTOR: "resonator"}, text)])
    for exposed in (text, merged):
        found = [s for family in text_string_to_metric_families(exposed) for s in family.samples]
        read = {s.labels[names.MODEL]: s.value for s in found if s.name == names.ROUTE_QUALITY}
        assert read == values
