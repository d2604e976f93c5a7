"""Choice of replica on a local snapshot: power of two choices, with bounded affinity.

Two random replicas, the less loaded one wins: nearly as even as asking all of them, without the herd.
Source: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001.
Requests that share a prefix go to the replica that rendezvous hashing gives them, so that its prefix
cache pays, unless that one holds more than `c` times the mean load.
Source: Mirrokni, Thorup, Zadimoghaddam, "Consistent Hashing with Bounded Loads", 2018.
"""

import hashlib
import random
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from zoran_ray.errors import ModelNotFound
from zoran_ray.messages import FleetSnapshot, ModelInfo, ReplicaInfo

_BOUND = 1.25
_SLACK = 2.0
_SUSPECT_S = 1.0


@dataclass(slots=True)
class _Seat:
    """A replica as this gateway sees it: published load, corrected by what it sent since."""

    info: ReplicaInfo
    published: int
    mark: int
    mine: int = 0
    mine_then: int = 0
    suspect_until: float = 0.0
    ready: bool = False

    @property
    def load(self) -> int:
        return max(self.mine, self.published + self.mine - self.mine_then)


class _Ready:
    """The replicas of one model that take requests.

    Attributes:
        held: Sum of their loads, kept up to date: a choice does not look at all of them.
    """

    def __init__(self, seats: list[_Seat]) -> None:
        self.seats = seats
        self.held = sum(seat.load for seat in seats)
        self._marks = np.array([seat.mark for seat in seats], dtype=np.uint64)

    def __len__(self) -> int:
        return len(self.seats)

    def home(self, affinity: int) -> _Seat:
        """Where the conversation belongs: the seat whose mark, mixed with it, is highest."""
        return self.seats[int(_mixed(self._marks ^ np.uint64(affinity)).argmax())]

    def without(self, tried: Collection[str], now: float) -> "_Ready":
        """Those of them to choose from when some have failed."""
        # One that failed this request gets another chance, but only when all others have gone.
        forgiven = [s for s in self.seats if s.suspect_until <= now]
        seats = [s for s in self.seats if s.info.replica_id not in tried] or forgiven
        return _Ready([s for s in seats if s.suspect_until <= now] or seats)


_NOBODY = _Ready([])


@dataclass(slots=True)
class Fleet:
    """A gateway's view of models and replicas.

    Args:
        clock: Monotonic seconds.
        rng: Source of the two choices.
    """

    clock: Callable[[], float] = time.monotonic
    rng: random.Random = field(default_factory=random.Random)
    snapshot: FleetSnapshot = field(default_factory=FleetSnapshot)
    _seats: dict[str, _Seat] = field(default_factory=dict)
    _names: dict[str, ModelInfo] = field(default_factory=dict)
    _by_model: dict[str, _Ready] = field(default_factory=dict)
    _suspects_until: float = 0.0

    def update(self, snapshot: FleetSnapshot) -> None:
        """Take over a newer snapshot; what this gateway itself has in flight is kept."""
        seats: dict[str, _Seat] = {}
        by_model: dict[str, list[_Seat]] = {name: [] for name in snapshot.models}
        for info in snapshot.replicas:
            seat = self._seats.get(info.replica_id)
            if seat is None:
                seat = _Seat(info, info.load.depth, _mark(info.replica_id))
            if seat.info.load is not info.load:
                seat.published, seat.mine_then = info.load.depth, seat.mine
            seat.info = info
            seats[info.replica_id] = seat
            model = snapshot.models.get(info.model)
            seat.ready = bool(model and info.generation == model.generation and info.state == "ready")
            if seat.ready:
                by_model[info.model].append(seat)
        # A model's own name wins over an alias of another.
        self._names = {alias: model for model in snapshot.models.values() for alias in model.aliases}
        self._names |= {model.name: model for model in snapshot.models.values()}
        self.snapshot, self._seats = snapshot, seats
        self._by_model = {name: _Ready(ready) for name, ready in by_model.items()}

    def __len__(self) -> int:
        """Replicas held."""
        return len(self._seats)

    def model(self, name: str) -> ModelInfo:
        """The model a caller means.

        Raises:
            ModelNotFound: No such model; says which there are.
        """
        if found := self._names.get(name):
            return found
        known = ", ".join(sorted(self.snapshot.models)) or "none yet"
        raise ModelNotFound(
            f"The model '{name[:128]}' does not exist or is not loaded. Models here: {known[:512]}.",
            param="model",
        )

    def ready(self, model: str) -> int:
        """How many replicas of the model take requests."""
        return len(self._by_model.get(model, _NOBODY))

    def context_tokens(self, model: str) -> int:
        """Context length of the model, 0 if no replica has told it."""
        return next((s.info.max_model_len for s in self._by_model.get(model, _NOBODY).seats), 0)

    def choose(
        self, model: str, affinity: int | None = None, tried: Collection[str] = ()
    ) -> ReplicaInfo | None:
        """A replica for one request, or None if none takes requests.

        Args:
            model: Public name.
            affinity: Hash of the conversation's beginning; equal ones prefer one replica.
            tried: Replica ids that already failed this request; chosen again only if no other is there
                and a moment has passed.
        """
        now = self.clock()
        ready = self._by_model.get(model, _NOBODY)
        if tried or self._suspects_until > now:
            ready = ready.without(tried, now)
        if len(ready) < 2:
            return ready.seats[0].info if ready.seats else None
        if affinity is not None:
            home = ready.home(affinity)
            if home.load <= _BOUND * ready.held / len(ready) + _SLACK:
                return home.info
        return min(self.rng.sample(ready.seats, 2), key=lambda s: s.load).info

    def begin(self, replica_id: str) -> None:
        """A request goes to this replica."""
        self._hold(replica_id, 1)

    def end(self, replica_id: str) -> None:
        """A request to this replica is over."""
        self._hold(replica_id, -1)

    def suspect(self, replica_id: str) -> None:
        """The replica did not answer; avoid it for a moment while others are there."""
        if seat := self._seats.get(replica_id):
            seat.suspect_until = self._suspects_until = self.clock() + _SUSPECT_S

    def _hold(self, replica_id: str, more: int) -> None:
        seat = self._seats.get(replica_id)
        if seat is None:
            return
        before, seat.mine = seat.load, max(0, seat.mine + more)
        ready = self._by_model.get(seat.info.model)
        if ready is not None and seat.ready:
            ready.held += seat.load - before


def _mark(replica_id: str) -> int:
    """64 bits, the same at every gateway."""
    return int.from_bytes(hashlib.blake2b(replica_id.encode(), digest_size=8).digest(), "big")


def _mixed(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Every bit of the result depends on every bit. Source: Steele, Lea & Flood, SplitMix, 2014."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
