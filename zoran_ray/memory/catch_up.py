"""What a peer that was away is told, and what a shard takes of it. Pure; knows no disk and no network.

Times are those of the shards, which never run backwards and are handed on with every write: whoever knew of
a change has a later time for his own. Where both changed the same without each other, the later change
stays, and what was forgotten comes back only as a record made after that.
"""

from collections.abc import Iterator
from dataclasses import replace

from zoran_ray.memory.changes import CONSENTS, WHOLE, Holders, Row
from zoran_ray.memory.ops import Batch, Drop, DropSubject, Give, Op, Put, Withdraw
from zoran_ray.memory.state import ShardState

LONG_AGO = 0.0
"""The time of what is told to one that knows nothing of it: whatever it changed itself is later."""


def missed(state: ShardState, rows: list[Row]) -> Iterator[Batch]:
    """What a peer has to do, for each of the notes that it does not know."""
    for tenant, subject, what, _, at in rows:
        if what == WHOLE:
            yield Batch(at, (DropSubject(tenant, subject),))
        elif what == CONSENTS:
            yield Batch(at, tuple(_consents(state, tenant, subject)))
        else:
            record = state.find(tenant, what)
            yield Batch(at, (Drop(tenant, (what,)) if record is None else Put(record),))


def shared(state: ShardState, peer: str, holders: Holders) -> Iterator[Batch]:
    """All that a peer has to hold, for one of which nobody knows how far it followed."""
    for tenant, subject in keys(state):
        if peer in holders(tenant, subject):
            yield from everything(state, tenant, subject)


def everything(state: ShardState, tenant: str, subject: str) -> Iterator[Batch]:
    """All that is known about one subject."""
    yield Batch(LONG_AGO, tuple(_consents(state, tenant, subject)))
    known = state.tenants.get(tenant)
    for record_id in [] if known is None else known.ids(subject):
        if (record := state.find(tenant, record_id)) is not None:
            yield Batch(LONG_AGO, (Put(record),))


def keys(state: ShardState) -> list[tuple[str, str]]:
    """Every tenant and subject of whom there is a record or a consent."""
    tenants = {*state.tenants, *state.consents.tenants()}
    return [(tenant, subject) for tenant in tenants for subject in state.subjects(tenant)]


def accepted(state: ShardState, sender: str, batch: Batch) -> list[Op]:
    """What is done here of what a peer sends because it may have been missed."""
    found: list[Op] = []
    for op in batch.ops:
        match op:
            case Put(record):
                if not _later_here(state, sender, record.tenant, record.subject, record.id, batch.at):
                    found.append(op)
            case Drop(tenant, ids):
                gone = tuple(i for i in ids if not _made_later(state, sender, tenant, i, batch.at))
                found += [Drop(tenant, gone)] if gone else []
            case DropSubject(tenant, subject):
                found += _forgotten(state, sender, tenant, subject, batch.at)
            case Give(consent):
                known = state.consents.find(consent.tenant, consent.id)
                found += [op] if known is None or known.withdrawn is None else []
            case Withdraw():
                found.append(op)
    return found


def _later_here(
    state: ShardState, sender: str, tenant: str, subject: str, record_id: str, at: float
) -> bool:
    """Whether a record was changed here after a time, and the sender may not know."""
    changed = state.changes.changed_at
    return max(changed(tenant, subject, what, sender) for what in (record_id, WHOLE)) > at


def _made_later(state: ShardState, sender: str, tenant: str, record_id: str, at: float) -> bool:
    """Whether a record was made here after a time, and the sender may not know."""
    record = state.find(tenant, record_id)
    if record is None or record.created <= at:
        return False
    return _later_here(state, sender, tenant, record.subject, record_id, at)


def _forgotten(state: ShardState, sender: str, tenant: str, subject: str, at: float) -> list[Op]:
    """Everything about a subject goes but what came after that."""
    known = state.tenants.get(tenant)
    ids = [] if known is None else known.ids(subject)
    kept = {i for i in ids if _made_later(state, sender, tenant, i, at)}
    agreed = state.changes.changed_at(tenant, subject, CONSENTS, sender) > at
    if not kept and not agreed:
        return [DropSubject(tenant, subject)]
    gone = tuple(i for i in ids if i not in kept)
    return [Drop(tenant, gone)] if gone else []


def _consents(state: ShardState, tenant: str, subject: str) -> Iterator[Op]:
    for consent in state.consents.of(tenant, subject):
        yield Give(replace(consent, withdrawn=None))
        if consent.withdrawn is not None:
            yield Withdraw(tenant, consent.id, consent.withdrawn)
