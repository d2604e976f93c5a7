"""From single measurements to the figures people compare: medians with range, and paired comparisons."""

from collections.abc import Callable, Iterator

from benchmarks.serving.results import Results, Sample
from benchmarks.serving.stats import Spread

Figure = Callable[[Sample], float | None]
NOT_THEIRS = ("generator", "backend")
"""Process groups that are no part of a contender."""


def tokens_per_s(sample: Sample) -> float:
    return float(sample.figures["tokens_per_s"])


def requests_per_s(sample: Sample) -> float:
    return float(sample.figures["requests_per_s"])


def in_ms(series: str, share: str) -> Figure:
    """A percentile, for example `in_ms("ttft_ms", "p50")`."""

    def figure(sample: Sample) -> float | None:
        value = sample.figures[series].get(share)
        return None if value is None else float(value)

    return figure


def requests_per_core(sample: Sample) -> float | None:
    """Requests per CPU second of everything the contender runs: what one core would carry."""
    cpu_s = sum(s for label, s in sample.figures["cpu_s"].items() if label not in NOT_THEIRS)
    return sample.figures["requests"] / cpu_s if cpu_s and sample.figures["requests"] else None


def cpu_ms_per_1000_chunks(*labels: str) -> Figure:
    """CPU milliseconds these process groups spend on 1,000 SSE events."""

    def figure(sample: Sample) -> float | None:
        spent = [s for label, s in sample.figures["cpu_s"].items() if label in labels]
        events = sample.figures["events"]
        return 1e6 * sum(spent) / events if spent and events else None

    return figure


def spread(
    results: Results, part: str, contender: str, kind: str, concurrency: int, figure: Figure
) -> Spread | None:
    """Median and range over all rounds and turns; None where nothing was measured."""
    values = (figure(sample) for sample in results.select(part, contender, kind, concurrency))
    return Spread.of(value for value in values if value is not None)


def paired(
    results: Results,
    cells: tuple[tuple[str, str, str, int], tuple[str, str, str, int]],
    figure: Figure,
    compare: Callable[[float, float], float],
) -> Spread | None:
    """`compare(first, second)` of measurements of the same round and turn, then median and range.

    Args:
        results: The run.
        cells: What to compare, each as part, contender, kind, concurrency.
        figure: What of it.
        compare: For example a ratio or a difference.
    """
    return Spread.of(_pairs(results, cells, figure, compare))


def _pairs(
    results: Results,
    cells: tuple[tuple[str, str, str, int], tuple[str, str, str, int]],
    figure: Figure,
    compare: Callable[[float, float], float],
) -> Iterator[float]:
    second = {(sample.round, sample.turn): figure(sample) for sample in results.select(*cells[1])}
    for sample in results.select(*cells[0]):
        ours, theirs = figure(sample), second.get((sample.round, sample.turn))
        # A contender that answered nothing is no measure of another.
        if ours is not None and theirs:
            yield compare(ours, theirs)


def starts(results: Results, contender: str) -> Spread | None:
    """Seconds from the command to the first token."""
    return Spread.of(start.first_token_s for start in results.starts if start.contender == contender)
