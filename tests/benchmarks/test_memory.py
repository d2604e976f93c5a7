"""The benchmark of memory and its neighbours, on next to nothing."""

from benchmarks.memory import journal, kills, pii, store, z5
from benchmarks.memory.report import markdown


def test_every_part_is_measured_and_told() -> None:
    results = {
        "started": "2026-01-01 00:00",
        "machine": "m",
        "journal": journal.measure(1100),
        "z5": z5.measure(None, 1),
        "pii": pii.measure(20, 4, 1),
        "store": store.measure(600, 16, 1),
        "kills": kills.measure(1),
    }
    assert results["store"]["search"]["recall"] == 1.0
    assert results["pii"]["worst_validated"] > 0.9
    text = markdown(results, "all.json")
    for what in ("50,000/s", "Z5, dictionary", "IBAN", "bare FAISS", "came back", "all.json"):
        assert what in text
