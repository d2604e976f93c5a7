"""What can happen to a shard, and the bytes of it in the log: explicit, so that replaying it needs no rule.

A batch is one write: its time, then its operations. Knows records and consents, not what becomes of them.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from zoran_ray.errors import InvalidRequest, StateDamaged
from zoran_ray.memory.changes import Row
from zoran_ray.memory.consent import Consent
from zoran_ray.memory.record import Layer, Record, check_time, decode, encoded

_TIME = struct.Struct("<d")
_OP = struct.Struct("<BI")


@dataclass(frozen=True, slots=True)
class Put:
    """A record is there from now on, instead of one of the same id if there is one.

    Attributes:
        record: The record.
        same: Its `rules.sameness` where that is known already; not written down.
        body: Its `encode_body` where that is known already.
    """

    record: Record
    same: bytes | None = field(default=None, compare=False, repr=False)
    body: bytes | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Drop:
    """Records of one tenant are gone."""

    tenant: str
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DropSubject:
    """Everything about one subject is gone, consents too."""

    tenant: str
    subject: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DropTenant:
    """Everything of one tenant is gone."""

    tenant: str


@dataclass(frozen=True, slots=True)
class Give:
    """A consent is given."""

    consent: Consent


@dataclass(frozen=True, slots=True)
class Withdraw:
    """A consent is taken back; records kept under it are hidden."""

    tenant: str
    consent_id: str
    at: float


@dataclass(frozen=True, slots=True)
class Foreign:
    """First in a batch that a peer sent: it tells the others itself."""

    sender: str


@dataclass(frozen=True, slots=True)
class Complete:
    """All peers have told everything: from now on this shard knows what others may have missed."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A peer knows every write up to this one; `folder` is the id of its folder."""

    peer: str
    folder: str
    number: int


@dataclass(frozen=True, slots=True)
class Noted:
    """What peers may not know, in a snapshot: the number of the last write, and rows of `Changes`."""

    number: int
    rows: tuple[Row, ...] = field(repr=False)


Op = Put | Drop | DropSubject | DropTenant | Give | Withdraw | Foreign | Complete | Settled | Noted
_KINDS: tuple[type[Op], ...] = (
    *(Put, Drop, DropSubject, DropTenant, Give, Withdraw),
    *(Foreign, Complete, Settled, Noted),
)


@dataclass(frozen=True, slots=True)
class Batch:
    """Operations that happen together. `at`: the shard's time, in seconds."""

    at: float
    ops: tuple[Op, ...]


def encode_batch(at: float, ops: Sequence[Op]) -> bytes:
    """The bytes of a batch."""
    return _encoded(ops, _TIME.pack(at))


def preceded(batch: bytes, op: Op) -> bytes:
    """The batch with one more operation before all others."""
    return batch[: _TIME.size] + _encoded((op,)) + batch[_TIME.size :]


def followed(batch: bytes, ops: Sequence[Op]) -> bytes:
    """The batch with more operations behind all others."""
    return batch + _encoded(ops)


def _encoded(ops: Sequence[Op], before: bytes = b"") -> bytes:
    parts = [before]
    for op in ops:
        pieces = encoded(op.record, op.body) if isinstance(op, Put) else (orjson.dumps(_fields(op)),)
        parts += (_OP.pack(_KINDS.index(type(op)), sum(map(len, pieces))), *pieces)
    return b"".join(parts)


def decode_batch(data: bytes) -> Batch:
    """The batch of `encode_batch`. Raises: StateDamaged: It is none, or of a later version."""
    try:
        (at,) = _TIME.unpack_from(data)
        check_time(at, "at")
        position, ops = _TIME.size, []
        while position < len(data):
            kind, length = _OP.unpack_from(data, position)
            position += _OP.size
            body = data[position : position + length]
            if len(body) != length:
                raise ValueError("short")
            ops.append(_op(_KINDS[kind], body))
            position += length
        return Batch(at, tuple(ops))
    except (struct.error, ValueError, TypeError, IndexError, KeyError, InvalidRequest):
        raise StateDamaged(
            "A write in the log cannot be read. Update zoran_ray, or restore the shard from a replica."
        ) from None


def _fields(op: Op) -> list[Any]:
    match op:
        case Drop(tenant, ids):
            return [tenant, ids]
        case DropSubject(tenant, subject):
            return [tenant, subject]
        case DropTenant(tenant):
            return [tenant]
        case Withdraw(tenant, consent_id, at):
            return [tenant, consent_id, at]
        case Give(c):
            return [c.id, c.tenant, c.subject, c.purposes, c.layers, c.given, c.expires, c.withdrawn]
        case Foreign(sender):
            return [sender]
        case Complete():
            return []
        case Settled(peer, folder, number):
            return [peer, folder, number]
        case Noted(number, rows):
            return [number, rows]
        case Put():
            raise TypeError("a record has bytes of its own")


def _op(kind: type[Op], body: bytes) -> Op:
    if kind is Put:
        return Put(decode(body))
    fields = orjson.loads(body)
    if kind is Drop:
        return Drop(fields[0], tuple(fields[1]))
    if kind is Give:
        name, tenant, subject, purposes, layers, *times = fields
        return Give(Consent(name, tenant, subject, tuple(purposes), tuple(map(Layer, layers)), *times))
    if kind is Noted:
        return Noted(fields[0], tuple(map(tuple, fields[1])))
    made: Op = kind(*fields)
    return made
