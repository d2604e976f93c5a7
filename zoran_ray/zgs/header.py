"""The block that says how a message is meant: `⟦4CHAMP:0807-FULL⋄src:a⋄dst:b⋄seq:17⋄ttl:60⟧`.

`SSFF-FULL|DELTA`: SS is the schema and FF the flags, two capital hexadecimal digits each. The four fields
after it are optional, come once at most and in this order. A message has one such block at most.

Source: the public examples. That digits are hexadecimal, that `ttl` counts seconds and that the four may be
left out (as in `⟦4CHAMP:0807-FULL⟧`) is our reading of them.
"""

import re
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Literal

from zoran_ray.zgs.grammar import KEY_WORD, MAX_KEY
from zoran_ray.zgs.message import Block, Field, Message

KEY = "4CHAMP"
NAMES = ("src", "dst", "seq", "ttl")
MAX_NUMBER = 2**63 - 1

_PLAN = re.compile(r"([0-9A-F]{2})([0-9A-F]{2})-(FULL|DELTA)")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")


class Flags(IntFlag):
    """What the sender says of the content."""

    TTL = 1
    """It is to be forgotten after its time to live."""
    MASKED = 2
    """Personal data are replaced by placeholders."""
    CONSENT = 4
    """The person concerned agreed."""


@dataclass(frozen=True, slots=True)
class Header:
    """The header block as values.

    Attributes:
        schema: 0..255.
        mode: Whether the payload is the whole state or what changed.
        src: The sender, as it calls itself: a claim, no proof.
        dst: Who is meant.
        seq: 0..2^63-1.
        ttl_s: Time to live in seconds, 0..2^63-1.
    """

    schema: int
    flags: Flags
    mode: Literal["FULL", "DELTA"]
    src: str | None = field(default=None, repr=False)
    dst: str | None = field(default=None, repr=False)
    seq: int | None = None
    ttl_s: int | None = None

    def block(self) -> Block:
        """The block that says this. Not checked here: `write` is who refuses what cannot be said."""
        values = (self.src, self.dst, self.seq, self.ttl_s)
        told = (
            Field(name, str(value)) for name, value in zip(NAMES, values, strict=True) if value is not None
        )
        return Block((Field(KEY, f"{self.schema:02X}{int(self.flags):02X}-{self.mode}"), *told))


def is_header(block: Block) -> bool:
    """Whether this block is a header block."""
    return bool(block.fields) and block.fields[0].key == KEY


def read_header(block: Block) -> Header:
    """The values of the header block of a message that was read.

    Raises:
        ValueError: It is no valid header block.
    """
    for place, each in enumerate(block.fields):
        if (wrong := fault(block.fields[:place], each)) is not None:
            raise ValueError(wrong)
    plan = _PLAN.fullmatch(block.fields[0].value or "") if is_header(block) else None
    if plan is None:
        raise ValueError(f"the block does not begin with {KEY}")
    values = {each.key: each.value for each in block.fields[1:]}
    return Header(
        schema=int(plan[1], 16),
        flags=Flags(int(plan[2], 16)),
        mode="FULL" if plan[3] == "FULL" else "DELTA",
        src=values.get("src"),
        dst=values.get("dst"),
        seq=_int(values.get("seq")),
        ttl_s=_int(values.get("ttl")),
    )


def header_of(message: Message) -> Header | None:
    """The header of a message that was read, if it has one."""
    found = (item for item in message.items if isinstance(item, Block) and is_header(item))
    return next(map(read_header, found), None)


def fault(before: tuple[Field, ...], each: Field) -> str | None:
    """What is wrong with a field after those `before` it in its block, as far as headers are concerned."""
    if each.key == KEY:
        return _plan_fault(each.value) if not before else f"{KEY} must be the first field of its block"
    if not before or before[0].key != KEY:
        return None
    if each.key not in NAMES:
        return f"a {KEY} block has the fields {', '.join(NAMES)} and no others"
    if len(before) > 1 and NAMES.index(each.key) <= NAMES.index(before[-1].key):
        return f"{', '.join(NAMES)} come once at most, and in this order"
    return _value_fault(each)


def _plan_fault(value: str | None) -> str | None:
    plan = _PLAN.fullmatch(value or "")
    if plan is None:
        return f"{KEY} needs four capital hexadecimal digits and -FULL or -DELTA, such as 0807-FULL"
    known = sum(Flags)
    if int(plan[2], 16) & ~known:
        return f"unknown flags; known are 01 (ttl), 02 (masked), 04 (consent), together {known:02X}"
    return None


def _value_fault(each: Field) -> str | None:
    value = each.value or ""
    if each.key in ("src", "dst"):
        fits = len(value) <= MAX_KEY and KEY_WORD.fullmatch(value) is not None
        return None if fits else f"{each.key} must be a name of 1 to {MAX_KEY} characters"
    # The pattern first: Python would spend long on a number of a million digits.
    if _NUMBER.fullmatch(value) is None or int(value) > MAX_NUMBER:
        return f"{each.key} must be a whole number from 0 to 2^63-1, without leading zeros"
    return None


def _int(value: str | None) -> int | None:
    return None if value is None else int(value)
