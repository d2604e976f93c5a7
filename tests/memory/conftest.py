"""A shard on a disk that can be full, with a clock that can be set, under the rules that are shipped."""

import errno
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from zoran_ray.memory.disk import OsDisk, OsFile
from zoran_ray.memory.embedder import HashedNgrams
from zoran_ray.memory.record import Layer, Record, embedding_bytes
from zoran_ray.memory.rules import read_rules
from zoran_ray.memory.shard import Bounds, MemoryShard
from zoran_ray.memory.store import Durability

RULES = read_rules(Path(__file__).parents[2] / "configs" / "memory.yaml")
EMBEDDER = HashedNgrams(32)


class MachineStops(BaseException):
    """Power is cut. No error of the disk: nobody may handle it."""


class FaultyFile(OsFile):
    def __init__(self, path, disk):
        super().__init__(path)
        self.disk = disk

    def write(self, data):
        self.disk.step()
        taken = data[: self.disk.room]
        self.disk.room -= len(taken)
        super().write(taken)
        if len(taken) < len(data):
            raise OSError(errno.ENOSPC, "No space left on device")

    def sync(self):
        self.disk.step()
        if self.disk.broken:
            raise OSError(errno.EIO, "Input/output error")

    def truncate(self, size):
        self.disk.step()
        if self.disk.broken:
            raise OSError(errno.EIO, "Input/output error")
        super().truncate(size)


class FaultyDisk(OsDisk):
    """`room` bytes are left; where `broken`, nothing syncs; after `steps` operations the machine stops."""

    def __init__(self):
        self.room = 1 << 40
        self.broken = False
        self.steps = None

    def step(self):
        if self.steps is not None:
            if self.steps <= 0:
                raise MachineStops
            self.steps -= 1

    def open(self, path):
        self.step()
        return FaultyFile(path, self)

    def rename(self, old, new):
        self.step()
        super().rename(old, new)

    def remove(self, path):
        self.step()
        if path.exists():
            self.room += path.stat().st_size
        super().remove(path)

    def sync_names(self, folder):
        self.step()
        if self.broken:
            raise OSError(errno.EIO, "Input/output error")


@dataclass
class Lab:
    """Everything a test may turn at."""

    folder: Path
    now: float = 1000.0
    disk: FaultyDisk = field(default_factory=FaultyDisk)
    opened: list = field(default_factory=list)
    count: int = 0
    stops: type = MachineStops

    def open(self, folder=None, *, embedder=EMBEDDER, rules=RULES, bounds=None, salvage=False):
        shard = MemoryShard(
            folder or self.folder,
            embedder,
            rules,
            bounds=bounds or Bounds(),
            durability=Durability(disk=self.disk),
            clock=lambda: self.now,
            salvage=salvage,
        )
        self.opened.append(shard)
        return shard

    def reopen(self, shard, **options):
        shard.close()
        return self.open(**options)

    def rules_with(self, layer, **changes):
        layers = {**RULES.layers, layer: RULES.layers[layer].model_copy(update=changes)}
        return RULES.model_copy(update={"layers": layers})

    def record(self, text, **changes):
        self.count += 1
        fields = {
            "id": f"r{self.count}",
            "tenant": "t",
            "subject": "s",
            "text": text,
            "purpose": "knowledge",
            "created": self.now,
            "layer": Layer.LONG,
            "embedding": embedding_bytes(EMBEDDER.embed([text])[0]),
            "source": "user:anna",
        }
        return Record(**{**fields, **changes})


@pytest.fixture
def lab(tmp_path):
    made = Lab(tmp_path / "shard")
    yield made
    made.disk.__init__()
    for shard in made.opened:
        shard.close()


@pytest.fixture(scope="session")
def new_lab(tmp_path_factory):
    """Makes a lab for each example of a property."""
    made = []

    def make():
        made.append(Lab(tmp_path_factory.mktemp("lab") / "shard"))
        return made[-1]

    return make
