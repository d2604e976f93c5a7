"""Text to message. One pass, no recursion, no backtracking; every error says where."""

import re
from typing import NoReturn

from zoran_ray.errors import ZgsSyntaxError
from zoran_ray.zgs import header
from zoran_ray.zgs.grammar import (
    BETWEEN,
    CLOSE,
    CONDITION_WORD,
    KEY_WORD,
    MAX_CONDITION,
    MAX_FIELDS,
    MAX_ITEMS,
    MAX_KEY,
    MAX_MESSAGE,
    MAX_VALUE,
    MAX_VERB,
    OPEN,
    PAYLOAD,
    PAYLOAD_WORD,
    PREFIX,
    SYNC,
    VALUE_WORD,
    VERB_WORD,
    WHEN,
)
from zoran_ray.zgs.message import Block, Field, Message, Sync


def parse(text: str | bytes, *, line: int = 1) -> Message:
    """Read one message.

    Args:
        text: The message, as text or UTF-8, without a line end.
        line: Where it stands in its file; only errors tell it.

    Raises:
        ZgsSyntaxError: It is not valid; `line` and `column` say where the first fault is.
    """
    return _Reader(_decoded(text, line) if isinstance(text, bytes) else text, line).message()


def _decoded(raw: bytes, line: int) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as wrong:
        column = len(raw[: wrong.start].decode()) + 1
        raise ZgsSyntaxError.at(line, column, "this is not UTF-8.") from None


class _Reader:
    def __init__(self, text: str, line: int) -> None:
        self.text = text
        self.line = line
        self.pos = 0

    def message(self) -> Message:
        if len(self.text) > MAX_MESSAGE:
            self.fail(f"a message has {MAX_MESSAGE} characters at most.", at=MAX_MESSAGE)
        self.expect(PREFIX)
        verb = self.word(VERB_WORD, MAX_VERB, "a verb in capitals")
        items: list[Block | Sync] = []
        payload: str | None = None
        while self.pos < len(self.text):
            if payload is not None:
                self.fail("nothing may follow the payload.")
            self.expect(" ", after="a space, or the end")
            if self.text.startswith(PAYLOAD, self.pos):
                payload = self.word(PAYLOAD_WORD, MAX_MESSAGE, f"{PAYLOAD} and a frame")
            else:
                items.append(self.item(items))
        return Message(verb, tuple(items), payload)

    def item(self, before: list[Block | Sync]) -> Block | Sync:
        start = self.pos
        if len(before) == MAX_ITEMS:
            self.fail(f"a message has {MAX_ITEMS} blocks and markers at most.")
        if self.skip(SYNC):
            condition = self.word(CONDITION_WORD, MAX_CONDITION, "a condition") if self.skip(WHEN) else None
            return Sync(condition)
        self.expect(OPEN, after=f"{OPEN}, {SYNC} or {PAYLOAD}")
        block = self.block()
        if header.is_header(block) and any(isinstance(b, Block) and header.is_header(b) for b in before):
            self.fail(f"a message has one {header.KEY} block at most.", at=start)
        return block

    def block(self) -> Block:
        fields: list[Field] = []
        while True:
            if len(fields) == MAX_FIELDS:
                self.fail(f"a block has {MAX_FIELDS} fields at most.")
            start = self.pos
            key = self.word(KEY_WORD, MAX_KEY, "a key")
            value = self.word(VALUE_WORD, MAX_VALUE, "a value") if self.skip(":") else None
            field = Field(key, value)
            # Only a header's fields depend on those before them.
            before = tuple(fields) if fields and fields[0].key == header.KEY else tuple(fields[:1])
            if (wrong := header.fault(before, field)) is not None:
                self.fail(f"{wrong}.", at=start)
            fields.append(field)
            if self.skip(CLOSE):
                return Block(tuple(fields))
            self.expect(BETWEEN, after=f"{BETWEEN} or {CLOSE}")

    def word(self, pattern: re.Pattern[str], most: int, what: str) -> str:
        found = pattern.match(self.text, self.pos)
        if found is None:
            self.miss(what)
        if found.end() - self.pos > most:
            self.fail(f"{what} has {most} characters at most.", at=self.pos + most)
        self.pos = found.end()
        return found[0]

    def skip(self, literal: str) -> bool:
        if not self.text.startswith(literal, self.pos):
            return False
        self.pos += len(literal)
        return True

    def expect(self, literal: str, after: str | None = None) -> None:
        if not self.skip(literal):
            self.miss(after or literal)

    def miss(self, what: str) -> NoReturn:
        # One character of it and no more: a message may hold what must not reach a log.
        found = ascii(self.text[self.pos]) if self.pos < len(self.text) else "the end"
        self.fail(f"expected {what}, found {found}.")

    def fail(self, what: str, at: int | None = None) -> NoReturn:
        raise ZgsSyntaxError.at(self.line, (self.pos if at is None else at) + 1, what)
