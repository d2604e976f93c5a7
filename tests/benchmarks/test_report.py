"""From measurements to verdicts, table and picture; the figures here are made up and checked by hand."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.readme import README, markers, write_into
from benchmarks.serving import engines, gateways
from benchmarks.serving.figures import cpu_ms_per_1000_chunks, requests_per_core
from benchmarks.serving.plot import draw
from benchmarks.serving.report import markdown
from benchmarks.serving.results import Results, Sample, Start, new_results
from benchmarks.serving.soak import Reading, verdict
from benchmarks.serving.targets import Verdict, number, shown, verdicts

SETTINGS: dict[str, Any] = {
    "streams": [1, 32],
    "connections": [1, 64],
    "rounds": 2,
    "turns": 1,
    "seconds": 6.0,
}


def figures(tokens: float = 100.0, ttft_ms: float = 40.0, **more: Any) -> dict[str, Any]:
    plain = {
        "requests": 100,
        "errors": 0,
        "error_kinds": {},
        "requests_per_s": 50.0,
        "latency_ms": {"p50": 5.0, "p95": 8.0, "p99": 10.0},
        "events": 2000,
        "tokens_per_s": tokens,
        "ttft_ms": {"p50": ttft_ms, "p95": 2 * ttft_ms, "p99": 3 * ttft_ms},
        "cpu_s": {"gateway": 0.04, "haproxy": 0.02, "engine": 3.0, "generator": 9.0},
    }
    return {**plain, **more}


def engine(name: str, concurrency: int, round_: int, **kind: float) -> Sample:
    return Sample(engines.PART, name, "stream", concurrency, round_, 0, figures(**kind))


@pytest.fixture
def results() -> Results:
    found = new_results(SETTINGS)
    for round_, speed in enumerate((1000.0, 500.0)):  # a machine that is half as fast in the second round
        found.samples += [
            engine(engines.DIRECT, 32, round_, tokens=speed, ttft_ms=40),
            engine(engines.ZORAN, 32, round_, tokens=speed * 0.98, ttft_ms=50),
            engine(engines.RAY, 32, round_, tokens=speed * 0.25, ttft_ms=300),
        ]
        slow = {"requests_per_s": 1.0, "requests": 2, "latency_ms": {"p50": 400.0, "p99": 900.0}}
        found.samples += [
            Sample(gateways.PART, gateways.ZORAN, "json", 64, round_, 0, figures(cpu_s={"gateway": 0.5})),
            Sample(
                gateways.PART,
                gateways.LITELLM,
                "json",
                64,
                round_,
                0,
                figures(cpu_s={"gateway": 1}, **slow),
            ),
        ]
    found.starts = [Start(engines.ZORAN, 0, 30.0, []), Start(engines.BARE, 0, 25.0, [{"rss_bytes": 2**30}])]
    return found


def line(results: Results, beginning: str) -> Verdict:
    (found,) = [v for v in verdicts(results) if v.what.startswith(beginning)]
    return found


def test_contenders_are_compared_within_a_round(results: Results) -> None:
    kept = line(results, "tok/s ÷ the replica's own server, 32")
    assert (kept.figure, kept.reached) == ("0.98 (0.98–0.98)", True)
    assert line(results, "tok/s ÷ Ray Serve LLM, default").figure.startswith("3.92 ")


def test_a_miss_is_called_one(results: Results) -> None:
    added = line(results, "added TTFT p50, 32")
    assert (added.figure, added.reached) == ("10 ms (10–10)", False)
    assert "**missed**" in markdown(results, "data.json", "plot.png")


def test_what_was_not_measured_is_neither(results: Results) -> None:
    for beginning in (
        "tok/s ÷ the replica's own server, 8",
        "soak",
        "tok/s ÷ Ray Serve LLM, direct streaming",
    ):
        found = line(results, beginning)
        assert (found.figure, found.reached) == ("not measured", None)


def test_requests_per_core_and_tail_against_litellm(results: Results) -> None:
    assert line(results, "requests/s per core ÷ LiteLLM, 64").figure.startswith("100 ")
    assert line(results, "p99 ÷ LiteLLM, 64").reached


def test_start_is_compared_with_its_margin(results: Results) -> None:
    assert line(results, "start to first token").reached
    results.starts.append(Start(engines.ZORAN, 1, 90.0, []))
    assert line(results, "start to first token").reached is False


def test_cpu_of_the_back_end_and_the_generator_is_not_the_contenders() -> None:
    sample = engine("x", 1, 0)
    assert cpu_ms_per_1000_chunks("gateway", "haproxy")(sample) == pytest.approx(30.0)
    assert requests_per_core(sample) == pytest.approx(100 / 3.06)


def test_results_survive_their_file(results: Results, tmp_path: Path) -> None:
    results.failures.append({"contender": "ray", "reason": "did not start\nlog"})
    results.save(tmp_path / "r" / "x.json")
    assert Results.load(tmp_path / "r" / "x.json") == results
    assert [p.name for p in (tmp_path / "r").iterdir()] == ["x.json"]


def test_what_was_not_measured_again_is_kept_and_said(results: Results) -> None:
    engines_only = [each for each in results.samples if each.part == engines.PART]
    again = replace(results, samples=engines_only, soak={}, kept=[])
    again.keep(results)
    assert sorted(map(repr, again.samples)) == sorted(map(repr, results.samples))
    day = results.started[:10]
    assert again.kept[0] == f"noop ({day})"
    assert f"Of an earlier run: noop ({day})" in markdown(again, "data.json", "plot.png")
    assert "earlier run" not in markdown(results, "data.json", "plot.png")


def test_errors_and_failures_are_said(results: Results) -> None:
    results.samples.append(engine(engines.RAY, 1, 0))
    results.samples[-1].figures["error_kinds"] = {"status 503": 4}
    results.failures.append({"contender": "ray-direct", "reason": "StartFailed: gone\nlong log"})
    text = markdown(results, "data.json", "plot.png")
    assert "Errors of Ray Serve LLM, default: 4 × status 503." in text
    assert "ray-direct did not run: StartFailed: gone\n" in text + "\n"


def test_every_table_row_has_as_many_cells_as_its_head(results: Results) -> None:
    results.connections = [{"state": "idle", "connections": 9, "bytes_each": {"gateway": 4096.0}}]
    columns = 0
    for text in markdown(results, "d", "p").splitlines():
        if text.startswith("|---"):
            columns = text.count("|")
        elif text.startswith("| ") and columns:
            assert text.count("|") == columns, text
        elif not text:
            columns = 0


def test_an_empty_run_renders(tmp_path: Path) -> None:
    empty = new_results(SETTINGS)
    assert "not measured" in markdown(empty, "d", "p")
    draw(empty, tmp_path / "empty.png")


def test_the_picture_is_a_png(results: Results, tmp_path: Path) -> None:
    draw(results, tmp_path / "deep" / "plot.png")
    assert (tmp_path / "deep" / "plot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("section", ["serving", "routing", "tuning", "memory"])
def test_only_what_is_between_the_markers_changes(tmp_path: Path, section: str) -> None:
    readme, (begin, end) = tmp_path / "README.md", markers(section)
    readme.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    write_into(readme, section, "new\n")
    assert readme.read_text() == f"before\n{begin}\nnew\n{end}\nafter\n"
    readme.write_text("no markers")
    with pytest.raises(ValueError, match="needs the lines"):
        write_into(readme, section, "new")
    text = README.read_text()
    assert text.index(begin) < text.index(end)


@pytest.mark.parametrize(
    ("value", "text"), [(0.98765, "0.988"), (12.34, "12.3"), (12345.6, "12,346"), (0, "0")]
)
def test_three_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_nothing_measured_is_said() -> None:
    assert shown(None, " ms") == "not measured"


def readings(growth: float, files: int = 0, entries: float = 0) -> list[Reading]:
    return [
        Reading(10.0 * i, i, int(1e8 * (1 + growth * i / 10)), 50 + files * i, {"m": entries * i})
        for i in range(11)
    ]


def test_a_flat_soak_is_flat() -> None:
    assert verdict(readings(0.01))["flat"]


@pytest.mark.parametrize("soaked", [readings(0.2), readings(0, files=1), readings(0, entries=100)])
def test_growth_of_memory_files_or_maps_is_not_flat(soaked: list[Reading]) -> None:
    assert not verdict(soaked)["flat"]
