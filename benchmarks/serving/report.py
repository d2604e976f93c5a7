"""Results as Markdown, between two markers of `benchmarks/README.md`."""

from collections.abc import Iterator, Sequence

from benchmarks.readme import table
from benchmarks.serving import engines, gateways
from benchmarks.serving.figures import (
    Figure,
    cpu_ms_per_1000_chunks,
    in_ms,
    requests_per_core,
    requests_per_s,
    spread,
    starts,
    tokens_per_s,
)
from benchmarks.serving.results import Results
from benchmarks.serving.targets import number, shown, verdicts


def markdown(results: Results, data: str, plot: str) -> str:
    """The whole section.

    Args:
        results: The run.
        data: Link to the JSON file.
        plot: Link to the picture.
    """
    m, settings = results.machine, results.settings
    versions = ", ".join(f"{name} {version}" for name, version in m["versions"].items())
    parts = [
        f"Run of {results.started[:10]}: {m['cores']} cores ({m['cpu']}), {m['memory_gib']} GiB, Python "
        f"{m['python']}; {versions}. {settings['rounds']} rounds, {settings['turns']} turns each, "
        f"windows of {settings['seconds']:g} s. Median (lowest–highest). "
        f"[Every single measurement]({data})."
        + (f" Of an earlier run: {', '.join(results.kept)}." if results.kept else ""),
        f"![tokens and requests per second]({plot})",
        "### Targets",
        table(["#", "what", "target", "measured", ""], _targets(results)),
        "### Streams of 64 tokens from the engine",
        table(*_engines(results)),
        "### On a no-op back end",
        table(*_noop(results, "json")),
        table(*_noop(results, "stream")),
        "### Memory of a connection",
        table(
            ["state", "connections", "gateway, bytes each", "HAProxy, bytes each"], _connections(results)
        ),
        "### Start",
        table(["contender", "first token, s", "processes", "RSS, MiB"], _starts(results)),
        *_notes(results),
    ]
    return "\n\n".join(part for part in parts if part)


def _targets(results: Results) -> Iterator[Sequence[str]]:
    words = {True: "reached", False: "**missed**", None: ""}
    for v in verdicts(results):
        yield str(v.number), v.what, v.target, v.figure, words[v.reached]


def _contenders(results: Results, part: str) -> list[str]:
    """In the order of their first measurement."""
    return list(dict.fromkeys(sample.contender for sample in results.samples if sample.part == part))


def _engines(results: Results) -> tuple[Sequence[str], Iterator[Sequence[str]]]:
    levels = results.settings["streams"]
    top = max(levels)
    head = ["path", *(f"tok/s, {level}" for level in levels), "TTFT p50 at 1, ms"]
    head += [f"TTFT p50 / p99 at {top}, ms", f"relay CPU per 1,000 chunks at {top}, ms"]

    def cell(name: str, level: int, figure: Figure) -> str:
        return shown(spread(results, engines.PART, name, "stream", level, figure))

    def rows() -> Iterator[Sequence[str]]:
        for name in _contenders(results, engines.PART):
            p50, p99 = (cell(name, top, in_ms("ttft_ms", share)) for share in ("p50", "p99"))
            ours = name in (engines.ZORAN, engines.ZORAN_PINNED)
            cost = cell(name, top, cpu_ms_per_1000_chunks("gateway", "haproxy")) if ours else "–"
            rates = [cell(name, level, tokens_per_s) for level in levels]
            yield name, *rates, cell(name, min(levels), in_ms("ttft_ms", "p50")), f"{p50} / {p99}", cost

    return head, rows()


def _noop(results: Results, kind: str) -> tuple[Sequence[str], Iterator[Sequence[str]]]:
    unit = "chunks/s" if kind == "stream" else "requests/s"
    head = ["gateway", "connections", unit, "p50, ms", "p99, ms", "requests per CPU second"]
    series = "ttft_ms" if kind == "stream" else "latency_ms"
    if kind == "stream":
        head[3:5] = ["TTFT p50, ms", "TTFT p99, ms"]

    def rows() -> Iterator[Sequence[str]]:
        for name in _contenders(results, gateways.PART):
            for level in results.settings["connections"]:
                rate = tokens_per_s if kind == "stream" else requests_per_s
                figures: list[Figure] = [
                    rate,
                    in_ms(series, "p50"),
                    in_ms(series, "p99"),
                    requests_per_core,
                ]
                cells = [spread(results, gateways.PART, name, kind, level, figure) for figure in figures]
                if cells[0] is not None:
                    own = cells if name != gateways.BACKEND else cells[:3]
                    yield name, str(level), *(shown(c) for c in own), *["–"] * (4 - len(own))

    return head, rows()


def _connections(results: Results) -> Iterator[Sequence[str]]:
    for row in results.connections:
        each = row["bytes_each"]
        gateway, haproxy = (
            number(each[label]) if label in each else "–" for label in ("gateway", "haproxy")
        )
        yield row["state"], str(row["connections"]), gateway, haproxy


def _starts(results: Results) -> Iterator[Sequence[str]]:
    for name in dict.fromkeys(start.contender for start in results.starts):
        last = [start for start in results.starts if start.contender == name][-1]
        rss = f"{last.rss_bytes / 2**20:,.0f}"
        yield name, shown(starts(results, name)), str(len(last.processes)), rss


def _notes(results: Results) -> Iterator[str]:
    for name in dict.fromkeys(sample.contender for sample in results.samples):
        kinds: dict[str, int] = {}
        for sample in results.samples:
            if sample.contender == name:
                for kind, count in sample.figures["error_kinds"].items():
                    kinds[kind] = kinds.get(kind, 0) + count
        if kinds:
            yield (
                f"Errors of {name}: "
                + ", ".join(f"{count} × {kind}" for kind, count in kinds.items())
                + "."
            )
    for failure in results.failures:
        yield f"{failure['contender']} did not run: {failure['reason'].splitlines()[0]}"
