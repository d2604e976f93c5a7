"""Message to text, in the one form there is."""

from zoran_ray.errors import InvalidRequest
from zoran_ray.zgs.grammar import BETWEEN, CLOSE, OPEN, PREFIX, SYNC, WHEN
from zoran_ray.zgs.message import Block, Field, Message, Sync
from zoran_ray.zgs.parse import parse


def write(message: Message) -> str:
    """The text of a message; `parse` gives the same message back, or it is not written.

    Raises:
        ZgsSyntaxError: A part of it cannot be written; the place is the one it would have had.
        InvalidRequest: A part of it would be read as something else, such as a value that holds `⟧`.
    """
    parts = [PREFIX + message.verb, *map(_item, message.items)]
    if message.payload is not None:
        parts.append(message.payload)
    text = " ".join(parts)
    # Reading it back is the whole check: no rule can be forgotten, and nothing can be smuggled in.
    if parse(text) != message:
        raise InvalidRequest(
            "The message would be read as another one: a part of it holds spaces, ':' or one of ⟦ ⋄ ⟧ ∴ "
            "where they end the part. Put such text into the payload."
        )
    return text


def _item(item: Block | Sync) -> str:
    if isinstance(item, Sync):
        return SYNC if item.condition is None else f"{SYNC}{WHEN}{item.condition}"
    return f"{OPEN}{BETWEEN.join(map(_field, item.fields))}{CLOSE}"


def _field(field: Field) -> str:
    return field.key if field.value is None else f"{field.key}:{field.value}"
