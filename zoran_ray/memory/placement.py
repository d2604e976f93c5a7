"""Which shards keep what: rendezvous hashing by tenant and subject. Pure; every node computes the same.

Everything about one subject is together, so that its deletion and its export are matters of its replicas
alone. A shard that comes or goes moves only the keys it gets or had.

Source: Thaler and Ravishankar, "Using Name-Based Mappings to Increase Hit Rates", IEEE/ACM Transactions on
Networking 6(1), 1998.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

from zoran_ray.errors import InvalidRequest
from zoran_ray.memory.record import check_name

REPLICAS = 2
FOLDER = "memory"
"""Folder of the state directory that has the layout, and a folder for each shard."""


@dataclass(frozen=True, slots=True)
class Place:
    """A shard and the node that has its folder."""

    shard: str
    node: str


@dataclass(frozen=True, slots=True)
class Layout:
    """All shards, and on how many nodes each record is.

    Attributes:
        places: Every shard once.
        replicas: Most shards that hold the same record, each on a node of its own.

    Raises:
        InvalidRequest: There is no shard, one is there twice, or there is to be no replica.
    """

    places: tuple[Place, ...]
    replicas: int = REPLICAS

    def __post_init__(self) -> None:
        if len(set(self.shards)) < len(self.places) or not self.places or self.replicas < 1:
            raise InvalidRequest("A layout has at least one shard, each once, and one replica.")

    @property
    def shards(self) -> tuple[str, ...]:
        """Names of all shards."""
        return tuple(place.shard for place in self.places)

    @property
    def copies(self) -> int:
        """How many shards hold a record: as many as there are nodes for them, at most."""
        return min(self.replicas, len({place.node for place in self.places}))

    def holders(self, tenant: str, subject: str) -> tuple[str, ...]:
        """The shards that hold a subject's records, the first choice first, on different nodes."""
        if len(self.places) == 1:
            return (self.places[0].shard,)
        nodes = {place.shard: place.node for place in self.places}
        chosen: dict[str, str] = {}
        for shard in ranking(tenant, subject, self.shards):
            chosen.setdefault(nodes[shard], shard)
            if len(chosen) == self.copies:
                break
        return tuple(chosen.values())


def replicas(tenant: str, subject: str, shards: Iterable[str], count: int = REPLICAS) -> tuple[str, ...]:
    """The shards that keep a subject's records, the first choice first; fewer where there are fewer.

    Args:
        tenant: Whose memory.
        subject: Whom the records are about.
        shards: Names of all shards.
        count: How many replicas there are to be.

    Raises:
        InvalidRequest: There is no shard, or a name is none.
    """
    ranked = ranking(tenant, subject, shards)
    if not ranked or count < 1:
        raise InvalidRequest("Placement needs at least one shard and one replica.", param="shards")
    return ranked[:count]


def ranking(tenant: str, subject: str, shards: Iterable[str]) -> tuple[str, ...]:
    """All shards in the order in which they are chosen: who stands in when the first are away."""
    check_name(tenant, "tenant")
    check_name(subject, "subject")
    key = _framed(tenant) + _framed(subject)
    return tuple(sorted(set(shards), key=lambda shard: (_weight(key, shard), shard), reverse=True))


def _weight(key: bytes, shard: str) -> bytes:
    return blake2b(key + _framed(shard), digest_size=8, person=b"zoran-memory").digest()


def _framed(name: str) -> bytes:
    """With its length in front: `a` of `bc` is not `ab` of `c`."""
    data = name.encode()
    return len(data).to_bytes(4, "little") + data
