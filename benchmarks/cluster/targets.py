"""What a cluster has to reach, and whether it did. Knows figures, not how they were taken."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.cluster.figures import kept, linear, of_parts
from benchmarks.readme import against
from benchmarks.serving.stats import Spread
from benchmarks.serving.targets import shown

KEPT = 0.9
RECOVERED_S = 5.0
COLD_S = 90.0
COLD = "first_token_s"
"""What the line of a cold start calls it."""
NOT_MEASURED = "not measured"
_SPARE = ("raylet", "replica", "gcs")
"""Faults after which there is capacity to spare, by a word of their names."""
_PROMISES = {
    "requests that hung or got a wrong answer": ("hung", "wrong"),
    "acknowledged writes lost or doubled": ("lost", "doubled"),
}

Row = Sequence[str]


def targets(results: Mapping[str, Any]) -> list[Row]:
    """Rows of what, target, measured; a part that was left out says so."""
    rows = [*_gateways(results.get("gateways")), *_failover(results.get("failover"))]
    rows += _hosts(results.get("hosts") or {})
    return [[what, target, measured] for what, target, measured in rows]


def _gateways(found: Mapping[str, Any] | None) -> Iterator[Row]:
    samples = (found or {}).get("samples", [])
    counts = sorted({each["gateways"] for each in samples} - {1}) or [2, 4]
    for count in counts:
        ratio = kept(samples, count)
        yield f"requests per core of {count} gateways ÷ of one", *_at_least(ratio, KEPT)
    for count in counts:
        ratio = linear(samples, count, (found or {}).get("cores", 1))
        what = f"requests/s of {count} gateways ÷ what the cores allow"
        yield what, *_at_least(ratio, KEPT)


def _failover(found: Mapping[str, Any] | None) -> Iterator[Row]:
    limit = f"≤ {RECOVERED_S:g} s"
    parts = of_parts((found or {}).get("parts", []), "recovered_s")
    for part in parts or ("engine's replica",):
        spread = parts.get(part)
        what = f"no request fails any more after `kill -9` of a spare {part}"
        # A promise: the worst kill counts, not the median.
        yield what, *_judged(spread, limit, spread is not None and spread.high <= RECOVERED_S, " s")
    gcs = (found or {}).get("gcs")
    what, target = "requests answered without a GCS", "all"
    if gcs is None:
        yield what, target, NOT_MEASURED
        return
    later = gcs["second_half"]
    reached = not gcs["failed"] and later["answered"] > 0
    said = f"{gcs['answered']} of {gcs['answered'] + gcs['failed']} in {gcs['seconds']:g} s"
    yield what, against(reached, target), said


def _hosts(found: Mapping[str, Any]) -> Iterator[Row]:
    cold = [float(each[COLD]) for each in found.get("measured", []) if COLD in each]
    yield "a cold cluster of three hosts: first token", *_seconds(cold, COLD_S)
    faults = found.get("faults", [])
    for each in faults:
        if any(word in each["fault"].lower() for word in _SPARE):
            what = f"{each['fault']}: until all requests are answered"
            yield what, *_seconds([float(each["errors_gone_s"])], RECOVERED_S)
    if not faults:
        yield "faults of several hosts", "0 hung, wrong, lost, doubled", NOT_MEASURED
        return
    for what, names in _PROMISES.items():
        count = sum(_count(each, name) for each in faults for name in names)
        yield f"{what}, all {len(faults)} faults", against(count == 0, "0"), f"{count}"


def _seconds(found: Sequence[float], limit_s: float) -> tuple[str, str]:
    spread = Spread.of(found)
    return _judged(spread, f"≤ {limit_s:g} s", spread is not None and spread.high <= limit_s, " s")


def _count(fault: Mapping[str, Any], name: str) -> int:
    value = fault[name]
    return sum(value.values()) if isinstance(value, Mapping) else int(value)


def _at_least(found: Spread | None, limit: float) -> tuple[str, str]:
    return _judged(found, f"≥ {limit:g}", found is not None and found.median >= limit, "")


def _judged(found: Spread | None, target: str, reached: bool, unit: str) -> tuple[str, str]:
    if found is None:
        return target, NOT_MEASURED
    return against(reached, target), shown(found, unit)
