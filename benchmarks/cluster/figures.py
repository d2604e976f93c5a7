"""From samples to what is compared with targets: medians with range, ratios within a round. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.serving.stats import Spread

Sample = Mapping[str, Any]


def select(samples: Iterable[Sample], layout: str, gateways: int) -> list[Sample]:
    """The samples of one cell, in the order of rounds; none that answered nothing."""
    return [
        each
        for each in samples
        if (each["layout"], each["gateways"]) == (layout, gateways) and each["requests_per_s"]
    ]


def cpu_ms(sample: Sample, *groups: str) -> float:
    """CPU milliseconds of a request, spent by these groups; CPU seconds per 1,000 requests are the same."""
    requests = float(sample["requests_per_s"] * sample["seconds"])
    used: float = sum(spent for group, spent in sample["cpu_s"].items() if group in groups)
    return 1_000 * used / requests


def busy(sample: Sample) -> float:
    """Cores in use, everybody's."""
    return float(sum(sample["cpu_s"].values()) / sample["seconds"])


def per_core(sample: Sample) -> float:
    """Requests that a core of a gateway answers in a second."""
    return 1_000 / cpu_ms(sample, "gateway")


def kept(samples: Sequence[Sample], gateways: int, layout: str = "apart") -> Spread | None:
    """Requests per core of so many gateways ÷ of one, within each round: what "on one core each" keeps."""
    return Spread.of(
        per_core(many) / per_core(one)
        for one, many in _rounds(samples, layout, gateways)
        if _spent(one, many)
    )


def linear(samples: Sequence[Sample], gateways: int, cores: int) -> Spread | None:
    """Requests a second of so many gateways ÷ what they could give: as many times one gateway's, or what
    the cores give (less what idle servers use) at one gateway's whole CPU time per request, whichever is
    less; within each round.
    """
    return Spread.of(
        many["requests_per_s"] / (one["requests_per_s"] * min(gateways, room(one, cores)))
        for one, many in _rounds(samples, "free", gateways)
        if busy(one)
    )


def room(one: Sample, cores: int) -> float:
    """How many times as many requests the cores could bear, everybody's CPU time counted."""
    idle = idle_cores(one)
    return (cores - idle) / (busy(one) - idle)


def idle_cores(sample: Sample) -> float:
    """Cores that servers use which nobody asks."""
    return float(sample["cpu_s"].get("idle", 0.0) / sample["seconds"])


def _rounds(samples: Sequence[Sample], layout: str, gateways: int) -> list[tuple[Sample, Sample]]:
    many = {each["round"]: each for each in select(samples, layout, gateways)}
    return [(one, many[one["round"]]) for one in select(samples, layout, 1) if one["round"] in many]


def _spent(*samples: Sample) -> bool:
    return all(sample["cpu_s"].get("gateway") for sample in samples)


def full_at(heartbeat_cpu_us: float, beats_per_s: float = 4.0) -> float:
    """Replicas whose heartbeats alone fill one core of the registry."""
    return 1e6 / (beats_per_s * heartbeat_cpu_us)


def pictures_per_s(row: Mapping[str, Any], beats_per_s: float = 4.0) -> float:
    """Snapshots a second that one core can send each gateway beside the heartbeats; 0: not even those."""
    left = 1.0 - float(row["replicas"] * beats_per_s * row["heartbeat_cpu_us"]) / 1e6
    return max(0.0, left) * 1e6 / float(row["gateways"] * row["answer_cpu_us"])


def of_parts(parts: Iterable[Mapping[str, Any]], what: str) -> dict[str, Spread]:
    """By part that was killed: a figure's median and range over all kills; None counts as not measured."""
    values: dict[str, list[float]] = {}
    for each in parts:
        if each[what] is not None:
            values.setdefault(each["part"], []).append(each[what])
    spreads = {part: Spread.of(found) for part, found in values.items()}
    return {part: spread for part, spread in spreads.items() if spread is not None}
