"""How much one source of scores may say: the bound on poisoned feedback. Knows ids and vectors, no arms.

The law, for every source while others are there too:

* Its scores weigh at most `scores` at once, as much again in each further hour, and besides `SHARE` of
  what everybody's weigh.
* They move what is expected of an arm, for any prompt there is, by at most `moved` at once, and by as much
  again in each further hour. What it takes back does not count.

A source is alone until another has been seen, or once none has been for a week: then all there is to learn
comes from it and nobody else can be harmed, so nothing is bounded. The source "" is the operator, who is
believed.
"""

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoran_ray.errors import ConfigError
from zoran_ray.routing.features import CUES

Vector = NDArray[np.float64]

OPERATOR = ""
SHARE = 0.1
WINDOW_S = 3600.0
PRESENCE_S = 7 * 86400.0
_LEAST_WEIGHT = 0.05
_PER_OTHERS = SHARE / (1.0 - SHARE)


@dataclass(slots=True)
class _Voice:
    """What a source may still say, as of the time `at`, when the scores of others had weighed `others`."""

    left: float
    at: float
    others: float
    own: float = 0.0


@dataclass(slots=True)
class _Moved:
    """How far a source has moved one arm's weights, what is an hour old counting 1/e."""

    by: Vector
    at: float


class Sources:
    """Bounds what each source says. Deterministic: time comes in with each call, in seconds.

    Args:
        scores: Scores of one source that count in an hour.
        moved: Furthest it may move an arm's expected score.
        most: Sources, and pairs of source and arm, that are remembered; the longest silent is forgotten.
    """

    def __init__(self, scores: float = 20.0, moved: float = 0.1, most: int = 1024) -> None:
        if not (scores > 0 and moved > 0 and most > 1):
            raise ConfigError("routing: the bounds on one key's scores must be above 0")
        self._scores = scores
        self._most_moved = moved
        self._most = most
        self._seen: OrderedDict[str, float] = OrderedDict()
        self._voices: OrderedDict[tuple[str, bool], _Voice] = OrderedDict()
        self._moved: OrderedDict[tuple[str, str], _Moved] = OrderedDict()
        self._total = 0.0

    def __len__(self) -> int:
        return max(len(self._seen), len(self._voices), len(self._moved))

    def seen(self, source: str, at: float) -> None:
        """A request of this source, scored or not."""
        if source != OPERATOR:
            _put(self._seen, source, max(at, self._seen.get(source, at)), self._most)

    def is_free(self, source: str, at: float) -> bool:
        """Whether nothing is bounded, because it is the operator or nobody else is there."""
        if source == OPERATOR:
            return True
        latest = next((seen for other, seen in reversed(self._seen.items()) if other != source), -math.inf)
        return latest < at - PRESENCE_S

    def grant(self, source: str, weight: float, at: float) -> float:
        """The weight that a score may have, from 0 to `weight`. What is granted is used up.

        Args:
            weight: 1 for a score that somebody gave, less for weaker evidence; each has its own account.
        """
        if self.is_free(source, at):
            return weight
        place = source, weight < 1.0
        twin = self._voices.get((source, weight >= 1.0))
        others = self._total - (twin.own if twin else 0.0)
        voice = self._voices.get(place) or _Voice(self._scores, at, others)
        others -= voice.own
        refill = self._scores * max(0.0, at - voice.at) / WINDOW_S + _PER_OTHERS * (others - voice.others)
        voice.left = min(self._scores, voice.left + refill)
        voice.at, voice.others = max(at, voice.at), others
        granted = min(weight, voice.left)
        granted = granted if granted >= _LEAST_WEIGHT * weight else 0.0
        voice.left -= granted
        voice.own += granted
        self._total += granted
        _put(self._voices, place, voice, self._most)
        return granted

    def share_of(self, source: str, arm: str, step: Vector, at: float) -> float:
        """How much, 0..1, of a step of an arm's weights a source's score may make. What it makes is noted.

        Args:
            step: float64[size], what the score would add to the weights of the expected score.
        """
        if self.is_free(source, at):
            return 1.0
        found = self._moved.get((source, arm))
        if found is None or found.by.shape != step.shape:
            found = _Moved(np.zeros_like(step), at)
        before = found.by * math.exp(-max(0.0, at - found.at) / WINDOW_S)
        share = 1.0
        if reach(before + step) > self._most_moved:
            # The reach of a sum is at most the sum of reaches, so this keeps within the bound.
            room = self._most_moved - reach(before)
            share = min(1.0, max(0.0, room / reach(step)))
        _put(self._moved, (source, arm), _Moved(before + share * step, max(at, found.at)), self._most)
        return share

    def forget_arms(self, kept: frozenset[str]) -> None:
        """Forget what was noted of arms that are gone."""
        for place in [place for place in self._moved if place[1] not in kept]:
            del self._moved[place]

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps, as arrays and numbers."""
        return {
            "total": self._total,
            "seen": [[source, at] for source, at in self._seen.items()],
            "voices": [[*place, v.left, v.at, v.others, v.own] for place, v in self._voices.items()],
            "moved": [[*place, m.at] for place, m in self._moved.items()],
            "by": np.array([m.by for m in self._moved.values()], dtype=np.float64),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`, which `state` made."""
        self._total = float(state["total"])
        self._seen = OrderedDict((str(source), float(at)) for source, at in state["seen"])
        self._voices = OrderedDict(
            ((str(source), bool(weak)), _Voice(*map(float, rest)))
            for source, weak, *rest in state["voices"]
        )
        self._moved = OrderedDict(
            ((str(source), str(arm)), _Moved(np.array(by), float(at)))
            for (source, arm, at), by in zip(state["moved"], state["by"], strict=True)
        )


def reach(step: Vector) -> float:
    """The most that a step of the weights can change the expected score of any prompt.

    A prompt's cues are within -1..1 and its words together have length 1, so it is the dual norm of that.
    """
    cues = len(CUES)
    return float(np.abs(step[:cues]).sum() + np.linalg.norm(step[cues:]))


def _put(table: OrderedDict[Any, Any], key: Any, value: Any, most: int) -> None:
    table[key] = value
    table.move_to_end(key)
    while len(table) > most:
        table.popitem(last=False)
