"""What the control plane's actors know anyway, as Prometheus text. Pure: values in, text out.

Labels are statuses, shards, and models of the catalogue: never a tenant, a key or a batch.
"""

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from zoran_ray.batch.job import FINISHED, Status
from zoran_ray.memory.answers import Stats
from zoran_ray.telemetry import Figure, figures_text, names


def journal_text(entries: int | None, waiting: int, failures: int, disk: tuple[int, int, int]) -> str:
    """The journal's figures.

    Args:
        entries: None while it is not open.
        waiting: Events that wait for the disk.
        failures: Calls that its files or its disk made fail.
        disk: Bytes of its disk: all, used, free.
    """
    size, _, free = disk
    figures = [
        Figure(names.JOURNAL_WAITING, waiting),
        Figure(names.JOURNAL_FAILURES, failures),
        Figure(names.DISK_SIZE, size),
        Figure(names.DISK_FREE, free),
    ]
    return figures_text(figures if entries is None else [*figures, Figure(names.JOURNAL_ENTRIES, entries)])


def memory_text(shards: Mapping[str, tuple[Stats, tuple[str, ...]] | BaseException]) -> str:
    """The memory's figures.

    Args:
        shards: Of each what it told, and which others it waits for; or why it did not.
    """
    figures: list[Figure] = []
    for shard, told in shards.items():
        labels = {names.SHARD: shard}
        figures.append(Figure(names.SHARD_UP, not isinstance(told, BaseException), labels))
        if not isinstance(told, BaseException):
            stats, waits_for = told
            figures += [
                Figure(names.SHARD_UNSURE, len(waits_for), labels),
                Figure(names.MEMORY_RECORDS, stats.records, labels),
                Figure(names.MEMORY_BYTES, stats.memory_bytes, labels),
                Figure(names.MEMORY_LOG, stats.log_bytes, labels),
                Figure(names.MEMORY_DROPPED, stats.dropped, labels),
            ]
    return figures_text(figures)


def batch_text(counts: Mapping[Status, tuple[int, int, int, int]]) -> str:
    """Figures of batches, 0 where there are none.

    Args:
        counts: As `Jobs.counts` gives them.
    """
    lines = dict.fromkeys(names.LINE_STATES, 0)
    for status, (_, total, completed, failed) in counts.items():
        lines["completed"] += completed
        lines["failed"] += failed
        if status not in FINISHED:
            lines["waiting"] += total - completed - failed
    batches = {status: counts[status][0] if status in counts else 0 for status in get_args(Status)}
    return figures_text(
        [
            *(Figure(names.BATCHES, count, {names.STATE: status}) for status, count in batches.items()),
            *(Figure(names.BATCH_LINES, count, {names.STATE: state}) for state, count in lines.items()),
        ]
    )


def routing_text(state: Mapping[str, Any]) -> str:
    """Figures of routing.

    Args:
        state: As `ResonatorActor.state` gives it.
    """
    return figures_text(
        [
            Figure(names.ROUTE_BEHIND, state["behind"]),
            *(
                Figure(names.ROUTE_LESSONS, state["counts"][kind], {names.KIND: kind})
                for kind in names.LESSON_KINDS
            ),
            *_guard(state["guard"]),
            *_arms(state["arms"]),
        ]
    )


def _guard(guard: Mapping[str, Any] | None) -> Iterator[Figure]:
    """None while there is no model to choose from. A part without a value yet is left out."""
    if guard is None:
        return
    yield Figure(names.STABILITY_LEAST, guard["threshold"])
    for part in names.STABILITY_PARTS:
        value = guard["stability" if part == "whole" else part]
        if value is not None:
            yield Figure(names.STABILITY, value, {names.PART: part})


def _arms(arms: Mapping[str, Mapping[str, Any]]) -> Iterator[Figure]:
    for model, arm in arms.items():
        labels = {names.MODEL: model}
        yield Figure(names.ROUTE_QUALITY, arm["quality"], labels)
        yield Figure(names.ROUTE_SHARE, arm["share"], labels)
        yield Figure(names.ROUTE_ALARMS, arm["alarms"], labels)
