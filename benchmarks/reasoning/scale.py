"""How much is measured: everything, or enough to see that it runs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """Sizes of the parts.

    Attributes:
        instances: Of each task but Countdown, all levels alike.
        puzzles: Of Countdown: that a tree has *twice* the rights of one answer needs more of them.
        calls: Budget of sampled answers for an instance; a puzzle of Countdown has twice as many.
        tokens: Budget of tokens for an instance; likewise.
        max_tokens: Longest answer of a call.
        wall: Puzzles whose calls are asked again one after the other.
        stream: Instances of all tasks that `zoran/auto` sees.
        latency: Of those, how many each model answers alone on an idle engine.
        seeds: Orders in which the stream is replayed.
        overhead: Instances of each task, and requests to the gateway, whose overhead is timed.
        live: Instances that a running server is asked.
    """

    instances: int
    puzzles: int
    calls: int
    tokens: int
    max_tokens: int
    wall: int
    stream: int
    latency: int
    seeds: int
    overhead: int
    live: int


FULL = Scale(
    instances=100, puzzles=300, calls=16, tokens=1536, max_tokens=192, wall=20, stream=1500, latency=60,
    seeds=20, overhead=150, live=300,
)  # fmt: skip
QUICK = Scale(
    instances=12, puzzles=12, calls=8, tokens=768, max_tokens=160, wall=3, stream=60, latency=8, seeds=3,
    overhead=8, live=24,
)  # fmt: skip
BLOCK = 25
"""Instances that one contender answers before the next has its turn."""
SEED = 0
"""Of drawn instances and of sampling. The laboratory's exam has another: nothing is chosen on these."""
