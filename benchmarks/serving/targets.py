"""What the serving stack has to reach, and whether it did. Knows figures, not how they were taken."""

import operator
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.serving import engines, gateways
from benchmarks.serving.figures import (
    cpu_ms_per_1000_chunks,
    in_ms,
    paired,
    requests_per_core,
    spread,
    starts,
    tokens_per_s,
)
from benchmarks.serving.results import Results
from benchmarks.serving.stats import Spread

START_MARGIN_S = 8.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of the table of targets.

    Attributes:
        reached: None where there is nothing to reach or nothing was measured.
    """

    number: int
    what: str
    target: str
    figure: str
    reached: bool | None


def verdicts(results: Results) -> list[Verdict]:
    """All targets in order; what was not measured says so."""
    return [
        *_over_direct(results),
        *_over_ray(results),
        *_over_litellm(results),
        _soak(results),
        _start(results),
    ]


def _over_direct(results: Results) -> Iterator[Verdict]:
    for concurrency in (1, 8, 32):
        cells = _engine_cells(engines.ZORAN, engines.DIRECT, concurrency)
        kept = paired(results, cells, tokens_per_s, operator.truediv)
        yield _at_least(1, f"tok/s ÷ the replica's own server, {concurrency} streams", 0.97, kept)
    for concurrency, limit_ms in ((1, 2.0), (32, 8.0)):
        cells = _engine_cells(engines.ZORAN, engines.DIRECT, concurrency)
        added = paired(results, cells, in_ms("ttft_ms", "p50"), operator.sub)
        yield _at_most(1, f"added TTFT p50, {concurrency} streams", limit_ms, added, " ms")
    cell = (engines.PART, engines.ZORAN, "stream", 32)
    cost = spread(results, *cell, cpu_ms_per_1000_chunks("gateway", "haproxy"))
    yield Verdict(
        1, "CPU of gateway + HAProxy per 1,000 chunks, 32 streams", "stated", shown(cost, " ms"), None
    )


def _over_ray(results: Results) -> Iterator[Verdict]:
    for peer, limit in ((engines.RAY, 3.0), (engines.RAY_DIRECT, 1.0)):
        for name in (peer, peer + engines.ALIKE):
            cells = _engine_cells(engines.ZORAN, name, 32)
            gain = paired(results, cells, tokens_per_s, operator.truediv)
            if name == peer or gain:
                yield _at_least(2, f"tok/s ÷ {name}, 32 streams", limit, gain)


def _over_litellm(results: Results) -> Iterator[Verdict]:
    for connections in (1, 16, 64, 256):
        ours = (gateways.PART, gateways.ZORAN, "json", connections)
        theirs = (gateways.PART, gateways.LITELLM, "json", connections)
        gain = paired(results, (ours, theirs), requests_per_core, operator.truediv)
        yield _at_least(2, f"requests/s per core ÷ LiteLLM, {connections} connections", 15.0, gain)
        tail = paired(results, (ours, theirs), in_ms("latency_ms", "p99"), operator.truediv)
        yield _at_most(2, f"p99 ÷ LiteLLM, {connections} connections", 0.1, tail)


def _soak(results: Results) -> Verdict:
    soak = results.soak
    if not soak:
        return Verdict(3, "soak", "flat", "not measured", None)
    figure = (
        f"{soak['minutes']:.0f} min, {soak['requests']} requests, {soak['errors']} errors; second half: "
        f"RSS {soak['rss_growth']:+.1%}, files {soak['files_growth']:+d}, "
        f"map entries {soak['maps_growth']:+g}"
    )
    return Verdict(3, "soak", "flat", figure, bool(soak["flat"]) and not soak["errors"])


def _start(results: Results) -> Verdict:
    ours, bare = starts(results, engines.ZORAN), starts(results, engines.BARE)
    what, target = "start to first token", f"≤ bare vLLM + {START_MARGIN_S:g} s"
    if not ours or not bare:
        return Verdict(4, what, target, "not measured", None)
    figure = f"{shown(ours, ' s')} against {shown(bare, ' s')}"
    return Verdict(4, what, target, figure, ours.median <= bare.median + START_MARGIN_S)


def _engine_cells(
    first: str, second: str, concurrency: int
) -> tuple[tuple[str, str, str, int], tuple[str, str, str, int]]:
    return (engines.PART, first, "stream", concurrency), (engines.PART, second, "stream", concurrency)


def _at_least(number: int, what: str, limit: float, found: Spread | None, unit: str = "") -> Verdict:
    reached = None if found is None else found.median >= limit
    return Verdict(number, what, f"≥ {limit:g}{unit}", shown(found, unit), reached)


def _at_most(number: int, what: str, limit: float, found: Spread | None, unit: str = "") -> Verdict:
    reached = None if found is None else found.median <= limit
    return Verdict(number, what, f"≤ {limit:g}{unit}", shown(found, unit), reached)


def shown(found: Spread | None, unit: str = "") -> str:
    """Median and range, as in `0.985 (0.97–1.01)`."""
    if found is None:
        return "not measured"
    if found.n == 1:
        return f"{number(found.median)}{unit}"
    return f"{number(found.median)}{unit} ({number(found.low)}–{number(found.high)})"


def number(value: float) -> str:
    """Three significant digits, whole from 100 on."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
