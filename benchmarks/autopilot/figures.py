"""Figures of many tasks: precision, recall, Brier score, times. Pure."""

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

Z_95 = 1.96
"""Of a two-sided interval at 95 %."""
DEPTHS = (1, 5, 12)
"""Of recall; a model is shown twelve files at most."""


def wilson(hits: int, of: int) -> tuple[float, float]:
    """95 % interval of a share. Source: E. B. Wilson, JASA 22 (1927)."""
    if of == 0:
        return 0.0, 1.0
    share, z2 = hits / of, Z_95**2
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = Z_95 / (1 + z2 / of) * math.sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def brier(pairs: Iterable[tuple[float, bool]]) -> float | None:
    """Mean squared distance of confidence from what is true; None of nothing. Source: G. Brier, 1950."""
    found = [(sure - true) ** 2 for sure, true in pairs]
    return statistics.fmean(found) if found else None


def share(hits: int, of: int) -> dict[str, Any]:
    """A share with its counts and its interval; a share of nothing is None."""
    low, high = wilson(hits, of)
    return {"hits": hits, "of": of, "share": hits / of if of else None, "interval": [low, high]}


def spread(values: Sequence[float]) -> dict[str, float] | None:
    """Median, 95th centile and longest; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return {
        "p50": statistics.median(ordered),
        "p95": ordered[min(len(ordered) - 1, math.ceil(0.95 * len(ordered)) - 1)],
        "most": ordered[-1],
    }


def ranks(found: Sequence[int], base: Sequence[int]) -> dict[str, Any]:
    """How well a search does: recall at some depths, mean reciprocal rank.

    Args:
        found: Rank of each question's answer, from 1; 0 where it was not found.
        base: The same of the search that this one is compared with.
    """
    pairs = [(one or math.inf, other or math.inf) for one, other in zip(found, base, strict=True)]
    recall = {str(depth): share(sum(0 < each <= depth for each in found), len(found)) for depth in DEPTHS}
    return {
        "recall": recall,
        "mrr": statistics.fmean(1 / each if each else 0.0 for each in found),
        "better": sum(one < other for one, other in pairs),
        "worse": sum(one > other for one, other in pairs),
    }


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What came of all cases.

    Args:
        rows: `may_merge`, `merged`, `right` (what is merged is right), `confidence` and `true` of a tested
            change (None without one), `told` (its tests hold), `wall_s`, `leaks`,
            `behaviour`, `ended`, `looked`.
    """
    merged = [row for row in rows if row["merged"]]
    asked = [row for row in rows if row["may_merge"]]
    others = [row for row in rows if not row["may_merge"]]
    judged = [row for row in rows if row["confidence"] is not None]
    names = dict.fromkeys(row["behaviour"] for row in rows)
    return {
        "tasks": len(rows),
        "precision": share(sum(row["right"] for row in merged), len(merged)),
        "recall": share(sum(row["merged"] and row["right"] for row in asked), len(asked)),
        "false_merges": share(sum(row["merged"] and not row["right"] for row in rows), len(others)),
        "brier": brier((row["confidence"], row["true"]) for row in judged),
        "judged": len(judged),
        "brier_told": brier((row["confidence"], row["true"]) for row in judged if row["told"]),
        "told": sum(row["told"] for row in judged),
        "leaks": sum(len(row["leaks"]) for row in rows),
        "looked": sum(row["looked"] for row in rows),
        "wall_s": spread([row["wall_s"] for row in rows]),
        "merged_wall_s": spread([row["wall_s"] for row in merged]),
        "behaviours": {name: _of_behaviour(name, rows) for name in names},
    }


def _of_behaviour(name: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    mine = [row for row in rows if row["behaviour"] == name]
    ends: dict[str, int] = {}
    for row in mine:
        ends[row["ended"]] = ends.get(row["ended"], 0) + 1
    return {
        "tasks": len(mine), "may_merge": mine[0]["may_merge"],
        "merged": sum(row["merged"] for row in mine), "ends": ends,
        "p50_s": statistics.median(row["wall_s"] for row in mine),
    }  # fmt: skip
