"""A message as values. Knows no text form. Values and payload stay out of `repr`: they may be personal."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Field:
    """`key` or `key:value`; an empty value is not the same as none."""

    key: str
    value: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Block:
    """`⟦field⋄field⟧`, at least one field. Keys may come twice, as the grammar allows."""

    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Sync:
    """`ΦSYNC`: the receiver is to be in step with the sender, if a condition stands there then under it."""

    condition: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Attributes:
        verb: What it is about, in capitals.
        items: Blocks and markers in their order.
        payload: A `Z5::` frame as it came, unopened.
    """

    verb: str
    items: tuple[Block | Sync, ...] = ()
    payload: str | None = field(default=None, repr=False)
