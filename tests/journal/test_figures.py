import json

from benchmarks.memory.journal import measure


def test_the_benchmark_runs_and_its_figures_are_json() -> None:
    figures = json.loads(json.dumps(measure(1500)))
    assert [each["entries"] for each in figures["proofs"]] == [1000, 1500]
    assert figures["proofs"][-1]["hashes"] <= 11
    assert figures["append"]["per_s"] > 0
