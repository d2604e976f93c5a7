"""Frozen messages between actors and gateways. Knows nothing of Ray or HTTP."""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Literal

from zoran_ray.models_file import ModelsFile

ReplicaState = Literal["ready", "draining"]


@dataclass(frozen=True, slots=True)
class ReplicaLoad:
    """What an engine says of itself.

    Attributes:
        running: Requests being decoded.
        waiting: Requests queued inside the engine.
        kv_usage: Share of the KV cache in use, 0..1.
        ttft_s: Mean time to first token over the last seconds, 0 if nothing ran.
    """

    running: int = 0
    waiting: int = 0
    kv_usage: float = 0.0
    ttft_s: float = 0.0

    @property
    def depth(self) -> int:
        """Requests this replica holds."""
        return self.running + self.waiting

    def __reduce__(self) -> tuple[Any, ...]:
        return ReplicaLoad, _load_fields(self)


@dataclass(frozen=True, slots=True)
class ReplicaInfo:
    """One replica that serves one model at one private address.

    Attributes:
        replica_id: Unique for the life of the process.
        model: Public name, for example `local/pocket`.
        generation: Which deployment of that model it belongs to; a change of settings makes a new one.
        base_url: Private HTTP address of the engine's own application.
        secret: Must be sent with every request to `base_url`. Never logged.
        capacity: Requests the engine runs at once (vLLM's `max_num_seqs`).
        max_model_len: Context length in tokens.
        tasks: What the engine can do: `generate`, `embed`, …
        pids: Processes that make up the replica.
    """

    replica_id: str
    model: str
    generation: str
    base_url: str
    secret: str = field(repr=False)
    capacity: int
    max_model_len: int
    tasks: tuple[str, ...]
    node_id: str = ""
    pids: tuple[int, ...] = ()
    state: ReplicaState = "ready"
    load: ReplicaLoad = ReplicaLoad()

    def __reduce__(self) -> tuple[Any, ...]:
        return ReplicaInfo, _replica_fields(self)


# A dataclass with slots pickles itself by a loop over its fields: of a thousand replicas that takes 10 ms.
_load_fields = attrgetter(*ReplicaLoad.__slots__)
_replica_fields = attrgetter(*ReplicaInfo.__slots__)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model the operator asked for, served or still loading.

    Attributes:
        name: Public name, `local/<name>`.
        aliases: Other names a caller may use for it.
        generation: The deployment new requests go to.
        app: Name of the Serve application that holds its replicas.
        source: Path or hub id, or `embedded`.
        description: For people.
        created: Unix time in seconds.
        min_replicas: 0 allows scale to zero; a request then wakes the model.
        queue_limit: Requests that may wait for a replica, per gateway.
        queue_timeout_s: How long one may wait, in seconds.
    """

    name: str
    aliases: tuple[str, ...]
    generation: str
    app: str
    source: str
    description: str = ""
    created: int = 0
    min_replicas: int = 1
    queue_limit: int = 64
    queue_timeout_s: float = 120.0


@dataclass(frozen=True, slots=True)
class FleetSnapshot:
    """All models and replicas at one moment.

    Attributes:
        epoch: Differs in each life of the registry.
        version: Grows with every change within one epoch.
        gateways: Gateways alive.
    """

    epoch: str = ""
    version: int = 0
    gateways: int = 1
    models: Mapping[str, ModelInfo] = field(default_factory=dict)
    replicas: tuple[ReplicaInfo, ...] = ()
    _packed: bytes = field(default=b"", init=False, repr=False, compare=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled once, however many gateways get it."""
        if not self._packed:
            fields = self.epoch, self.version, self.gateways, self.models, self.replicas
            object.__setattr__(self, "_packed", pickle.dumps(fields, pickle.HIGHEST_PROTOCOL))
        return _unpacked, (self._packed,)


def _unpacked(packed: bytes) -> FleetSnapshot:
    return FleetSnapshot(*pickle.loads(packed))  # noqa: S301 - it came inside a pickle of Ray's


@dataclass(frozen=True, slots=True)
class CatalogueSnapshot:
    """What may be asked for and what it costs, at one moment. Holds no secret.

    Attributes:
        epoch: As in `FleetSnapshot`.
        version: Grows with every change within one epoch.
        file: The models that are served now and all arms; checked once by whoever read it, so a fallback
            may name a model that is not served any more.
    """

    epoch: str
    version: int
    file: ModelsFile


ANYBODY_ID = "anybody"
"""Id of whoever asks a server that has no keys. No key has it."""


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """One API key as gateways know it: never the key itself.

    Attributes:
        key_id: Public id, safe to log.
        digest: SHA-256 of the key, hex.
        models: Glob patterns of the models it may use; empty means all.
        requests_per_min: Most requests in any 60 s, None for no limit.
        tokens_per_min: Most tokens (prompt + completion) in any 60 s, None for no limit.
        expires: Unix time in seconds, None for never.
        tenant: Whose memory and caches it shares.
        usd_per_day: Most USD in one UTC day, None for no limit.
        usd_per_request: Most USD that one request may cost, None for no limit.
    """

    key_id: str
    name: str
    digest: str = field(repr=False)
    models: tuple[str, ...] = ()
    requests_per_min: int | None = None
    tokens_per_min: int | None = None
    expires: float | None = None
    tenant: str = ""
    usd_per_day: float | None = None
    usd_per_request: float | None = None


@dataclass(frozen=True, slots=True)
class KeySnapshot:
    """All valid keys. `version` is 0 only while no key was ever created, and differs after every write."""

    version: int = 0
    keys: tuple[KeyInfo, ...] = ()
