"""What the router did, as the journal is told: numbers and names of models, never a word of a prompt."""

from zoran_ray.journal import Event, Kind, token
from zoran_ray.journal.entry import MOST_NUMBER
from zoran_ray.routing.live import RolledBack
from zoran_ray.routing.reports import Answered

_MILLION = 1e6
_BILLION = 1e9


def decision(answered: Answered) -> Event:
    """A request that was routed and is over.

    `chosen` was asked first, with probability `propensity_ppm` in millionths, by the snapshot of number
    `snapshot`; `arm` answered or failed last. Ids that are no tokens are left out: they may say anything.
    """
    meta = {
        "request": token(answered.request_id),
        "key": token(answered.key_id),
        "arm": token(answered.arm),
        "chosen": token(answered.chosen),
        "task": answered.task,
        "propensity_ppm": _whole(answered.propensity, _MILLION),
        "snapshot": _whole(answered.snapshot_version),
        "tokens_in": _whole(answered.input_tokens),
        "tokens_out": _whole(answered.output_tokens),
        "usd_nano": _whole(answered.usd, _BILLION),
        "latency_ms": _whole(answered.latency_s, 1000),
        "ok": not answered.failed,
    }
    return Event(Kind.ROUTING_DECISION, meta, at_ms=_whole(answered.at, 1000))


def rollback(rolled_back: RolledBack) -> Event:
    """The guard returned to its last good state; `rollbacks` counts them.

    After a crash the router learns the same again, and may tell of the same rollback twice.
    """
    stability = _whole(rolled_back.stability, _MILLION)
    meta = {"rollbacks": rolled_back.rollbacks, "stability_ppm": stability}
    return Event(Kind.GUARD_ROLLBACK, meta, at_ms=_whole(rolled_back.at, 1000))


def _whole(value: float | None, unit: float = 1) -> int | None:
    return None if value is None else min(round(value * unit), MOST_NUMBER)
