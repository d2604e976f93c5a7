"""How many requests of batches run at a time: what replicas can hold, less what others need. Pure.

An eighth of a model's places, one at least, is left free for whoever comes, and so are those that
interactive requests have now. One request of a batch always runs, so that none stands still.
"""

from collections import Counter

from zoran_ray.batch.lines import Line
from zoran_ray.messages import FleetSnapshot, ModelInfo

FREE_SHARE = 8
OTHERS = 16
"""At a time, of all that is not known to be asked of one model served here: providers, `zoran/auto`."""


class Seats:
    """A `Room` that follows the fleet."""

    def __init__(self) -> None:
        self._most: dict[str, float] = {}
        self._names: dict[str, str] = {}
        self._load: Counter[str] = Counter()
        self._taken: Counter[str] = Counter()
        self._seated: dict[int, str] = {}

    def update(self, fleet: FleetSnapshot) -> None:
        """Knows these replicas and loads from now on."""
        self._names = {name: model.name for model in fleet.models.values() for name in _names(model)}
        self._most = dict.fromkeys(fleet.models, 0.0)
        self._load.clear()
        for replica in fleet.replicas:
            if replica.state == "ready" and replica.model in self._most:
                self._most[replica.model] += replica.capacity - max(1, replica.capacity // FREE_SHARE)
                self._load[replica.model] += replica.load.depth

    def most(self, model: str) -> float:
        """How many of this model may run now."""
        if model not in self._most:
            return OTHERS
        # What replicas say of their load counts ours too.
        others = max(0, self._load[model] - self._taken[model])
        return max(1, self._most[model] - others)

    def enter(self, line: Line) -> bool:
        """As in `Room`."""
        model = self._model(line)
        if self._taken[model] >= self.most(model):
            return False
        self._taken[model] += 1
        self._seated[id(line)] = model
        return True

    def leave(self, line: Line) -> None:
        """As in `Room`."""
        # The place that was taken: names may have changed meanwhile.
        self._taken[self._seated.pop(id(line))] -= 1

    def _model(self, line: Line) -> str:
        """The model served here that a line asks, also within a strategy; else one name for all."""
        inner = line.model.partition(":")[2] if line.model.startswith("zoran/") else line.model
        return self._names.get(inner, "")


def _names(model: ModelInfo) -> tuple[str, ...]:
    return (model.name, *model.aliases)
