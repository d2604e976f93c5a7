"""Rules of the layers: where a record begins, what moves it on, and what counts as the same thing.

They are read from `configs/memory.yaml`. Pure: a record and the rules in, a record out. Knows no shard, no
disk and no clock.
"""

import unicodedata
from hashlib import blake2b
from itertools import repeat
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from zoran_ray.config.document import read_document
from zoran_ray.config.validation import validated
from zoran_ray.errors import InvalidRequest, PermissionDenied
from zoran_ray.memory.consent import PurposeRule
from zoran_ray.memory.record import MOST_CORROBORATIONS, Layer, Record, changed

Seconds = Annotated[float, Field(gt=0, le=3e9)]
Word = Annotated[str, Field(min_length=1, max_length=40)]

_EDGES = ".,;:!\"'()[]«»“”‘’…"
"""Punctuation at the edge of a word that does not change what is said. A question mark does."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LayerRule(_Model):
    """How long records live in a layer, and how many."""

    ttl_s: Seconds | None = None
    """Longest a record stays, in seconds; null for ever."""
    ring: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Most records of one conversation; the oldest goes first. Null for no such bound."""
    merge: bool = True
    """Whether what says the same about the same subject becomes one record."""


class EntryRule(_Model):
    """Where a record begins. The first rule that fits counts; without one it begins where it asks to."""

    sources: tuple[Word, ...] | None = None
    """Kinds of source it is for; null for any, the unknown ones too."""
    asked: Layer | None = None
    """The layer that was asked for; null for any."""
    begins: Layer
    """Where the record begins."""


class MoveRule(_Model):
    """What moves a record from one layer to another."""

    origin: Layer
    """From where."""
    to: Layer
    """To where."""
    when: Literal["corroborated", "confirmed", "promoted"]
    """`corroborated`: enough independent sources say it. `confirmed`: the user says so. `promoted`:
    somebody who may moved it, which is written to the journal."""
    sources: Annotated[int, Field(ge=2, le=10)] = 2
    """Independent sources that are enough."""


class MemoryRules(_Model):
    """All rules of the memory: `configs/memory.yaml`."""

    layers: dict[Layer, LayerRule]
    """Rules for each layer; all four must be there."""
    outside: tuple[Word, ...] = ("web", "tool", "document")
    """Kinds of source that cannot corroborate anything: what they say may be meant to deceive."""
    entry: tuple[EntryRule, ...] = ()
    """Where records begin."""
    moves: tuple[MoveRule, ...] = ()
    """What moves them."""
    fillers: frozenset[Word] = frozenset()
    """Words that do not change what a text says. Texts that differ only in these, in case or in punctuation
    are near-duplicates."""
    purposes: dict[str, PurposeRule]
    """What records may be kept for, and what of them. Another purpose is refused."""


def rules_of(path: Path | None) -> MemoryRules:
    """The rules of a file, or those that are shipped. Raises: ConfigError."""
    house = Path(__file__).parents[1]
    # In a wheel, data lies in the package; in a checkout beside it.
    places = (house / "_data" / "configs", house.parent / "configs")
    shipped = next((found for place in places if (found := place / "memory.yaml").exists()), None)
    return read_rules(path or shipped or places[0] / "memory.yaml")


def read_rules(path: Path) -> MemoryRules:
    """The rules of a file. Raises: ConfigError: It cannot be read, or a field is wrong; says where."""
    document = read_document(path)
    rules = validated(MemoryRules, document.data, document.place)
    return rules.model_copy(
        update={"layers": {layer: rules.layers.get(layer, LayerRule()) for layer in Layer}}
    )


def source_kind(source: str) -> str:
    """`web` of `web:example.org/page`."""
    return source.partition(":")[0].casefold()


def origin(source: str) -> str:
    """Who stands behind a source: its kind and name up to the first slash. Pages of one site are one."""
    kind, _, name = source.partition(":")
    return f"{kind}:{name.partition('/')[0]}".casefold()


def entered(record: Record, rules: MemoryRules, now: float) -> Record:
    """The record as it begins, in its layer and with an end; nobody confirmed or corroborated it yet.

    Args:
        record: As it was sent.
        rules: The rules.
        now: Unix time in seconds.

    Raises:
        InvalidRequest: Its purpose is not known.
    """
    if record.purpose not in rules.purposes:
        raise InvalidRequest(
            f"The purpose {record.purpose!r} is not known. Known: {', '.join(sorted(rules.purposes))}."
            " A purpose is added in memory.yaml.",
            param="purpose",
        )
    kind = source_kind(record.source)
    layer = record.layer
    for rule in rules.entry:
        if (rule.sources is None or kind in rule.sources) and rule.asked in (None, record.layer):
            layer = rule.begins
            break
    leaves = _leaves(layer, rules, now)
    known = record.confirmed or record.corroborated
    if not known and record.layer is layer and record.leaves == leaves:
        return record
    return changed(record, layer=layer, leaves=leaves, confirmed=False, corroborated=())


def corroborated(record: Record, source: str, rules: MemoryRules) -> Record:
    """The record with one source more, if that is another than those it has."""
    if source_kind(source) in rules.outside or len(record.corroborated) >= MOST_CORROBORATIONS:
        return record
    if not source or origin(source) in _origins(record):
        return record
    return changed(record, corroborated=(*record.corroborated, source))


def moved(record: Record, rules: MemoryRules, now: float, *, promoted: bool = False) -> Record:
    """The record in the layer where the rules want it now; itself where it stays.

    Args:
        record: The record.
        rules: The rules.
        now: Unix time in seconds, from which its time in a new layer counts.
        promoted: Whether somebody who may promotes it.
    """
    for rule in rules.moves:
        if rule.origin is record.layer and _fits(rule, record, rules, promoted):
            return changed(record, layer=rule.to, leaves=_leaves(rule.to, rules, now))
    return record


def promoted(record: Record, rules: MemoryRules, now: float) -> Record:
    """The record after an explicit promotion; that it was confirmed in quarantine does not count after it.

    Raises:
        PermissionDenied: No rule leads on from its layer.
    """
    found = moved(changed(record, confirmed=False), rules, now, promoted=True)
    if found.layer is record.layer:
        raise PermissionDenied(
            f"No rule promotes records of the layer {record.layer.value!r}.", param="layer"
        )
    return found


def canonical(text: str, rules: MemoryRules) -> str:
    """What two texts that say the same have in common: the words but the fillers, in their order.

    Numbers, signs, accents and the order stay, because they change what is said.
    """
    plain = (text if text.isascii() else unicodedata.normalize("NFC", text)).casefold()
    fillers = rules.fillers
    words = list(filter(None, map(str.strip, plain.split(), repeat(_EDGES))))
    telling = words if fillers.isdisjoint(words) else [word for word in words if word not in fillers]
    return " ".join(telling or words) or plain.strip()


def sameness(record: Record, rules: MemoryRules) -> bytes | None:
    """A key that two records share if they are to be one; None where the record stays by itself.

    What is latent and what is long share theirs: they are one thing, believed more or less.
    """
    if not record.text or not rules.layers[record.layer].merge:
        return None
    layer = Layer.LONG if record.layer is Layer.LATENT else record.layer
    parts = (record.subject, layer, record.purpose, record.consent, record.conversation)
    # Names have no control characters, and the text comes last: the parts cannot run into one another.
    whole = "\0".join((*parts, canonical(record.text, rules)))
    return blake2b(whole.encode(), digest_size=16).digest()


def merged(old: Record, new: Record, rules: MemoryRules) -> Record:
    """One record of two that say the same: the old one, kept as long as the longer lived, better known."""
    leaves = _later(old.leaves, new.leaves) if old.layer is new.layer else old.leaves
    if old.layer is Layer.LATENT and new.layer is Layer.LONG:
        old, leaves = changed(old, layer=Layer.LONG), new.leaves
    kept = changed(old, expires=_later(old.expires, new.expires), leaves=leaves)
    return corroborated(kept, new.source, rules)


def _later(a: float | None, b: float | None) -> float | None:
    """The later of two ends; None is never."""
    return None if a is None or b is None else max(a, b)


def _fits(rule: MoveRule, record: Record, rules: MemoryRules, promoted: bool) -> bool:
    if rule.when == "promoted":
        return promoted
    if rule.when == "confirmed":
        return record.confirmed
    inside = [name for name in _origins(record) if source_kind(name) not in rules.outside]
    return len(inside) >= rule.sources


def _origins(record: Record) -> set[str]:
    return {origin(source) for source in (record.source, *record.corroborated) if source}


def _leaves(layer: Layer, rules: MemoryRules, now: float) -> float | None:
    """When the time of a record is over that comes to a layer now."""
    ttl_s = rules.layers[layer].ttl_s
    return None if ttl_s is None else now + ttl_s
