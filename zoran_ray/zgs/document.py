"""A message as JSON and back: what `zoran zgs` shows, and what a log may hold.

{"verb": "PERSIST",
 "items": [{"block": [{"key": "ΔM11.3"}]},
           {"sync": {"condition": "stable"}},
           {"header": {"schema": 8, "flags": ["ttl", "masked"], "mode": "FULL", "src": "a", "seq": 1}}],
 "payload": "Z5::…"}
"""

from typing import Any, NoReturn

from zoran_ray.errors import InvalidRequest
from zoran_ray.zgs.grammar import MAX_FIELDS, MAX_ITEMS
from zoran_ray.zgs.header import NAMES, Flags, Header, is_header, read_header
from zoran_ray.zgs.message import Block, Field, Message, Sync
from zoran_ray.zgs.write import write

_FLAGS = {flag.name.lower(): flag for flag in Flags if flag.name}


def to_json(message: Message) -> dict[str, Any]:
    """A JSON object that `from_json` turns into the same message. For messages that `parse` gave."""
    document: dict[str, Any] = {"verb": message.verb, "items": [_item(item) for item in message.items]}
    return document if message.payload is None else document | {"payload": message.payload}


def loggable(message: Message) -> dict[str, Any]:
    """What a log may hold of a message: its words in the clear, of its payload only the length.

    Values are the sender's words. A log that must hold no personal data masks them first.
    """
    document = to_json(message)
    payload = document.pop("payload", None)
    return document if payload is None else document | {"payload_chars": len(payload)}


def from_json(document: Any) -> Message:
    """The message that a JSON object describes.

    Raises:
        InvalidRequest: It describes none; `param` says where.
        ZgsSyntaxError: It describes one that cannot be written.
    """
    top = _object(document, "message", {"verb", "items", "payload"})
    items = _array(top.get("items", []), "items", MAX_ITEMS)
    message = Message(
        verb=_text(top.get("verb"), "verb"),
        items=tuple(_read_item(each, f"items.{n}") for n, each in enumerate(items)),
        payload=_text_or_none(top.get("payload"), "payload"),
    )
    write(message)
    return message


def _item(item: Block | Sync) -> dict[str, Any]:
    if isinstance(item, Sync):
        return {"sync": {} if item.condition is None else {"condition": item.condition}}
    if is_header(item):
        return {"header": _header(read_header(item))}
    return {"block": [_field(field) for field in item.fields]}


def _field(field: Field) -> dict[str, str]:
    return {"key": field.key} | ({} if field.value is None else {"value": field.value})


def _header(header: Header) -> dict[str, Any]:
    flags = [name for name, flag in _FLAGS.items() if flag in header.flags]
    values = (header.src, header.dst, header.seq, header.ttl_s)
    told = {name: value for name, value in zip(NAMES, values, strict=True) if value is not None}
    return {"schema": header.schema, "flags": flags, "mode": header.mode} | told


def _read_item(value: Any, where: str) -> Block | Sync:
    item = _object(value, where, {"block", "sync", "header"})
    if len(item) != 1:
        _refuse(where, "needs one of block, sync, header")
    if "sync" in item:
        sync = _object(item["sync"], f"{where}.sync", {"condition"})
        return Sync(_text_or_none(sync.get("condition"), f"{where}.sync.condition"))
    if "header" in item:
        return _read_header(item["header"], f"{where}.header")
    fields = _array(item["block"], f"{where}.block", MAX_FIELDS)
    return Block(tuple(_read_field(each, f"{where}.block.{n}") for n, each in enumerate(fields)))


def _read_field(value: Any, where: str) -> Field:
    field = _object(value, where, {"key", "value"})
    return Field(
        _text(field.get("key"), f"{where}.key"), _text_or_none(field.get("value"), f"{where}.value")
    )


def _read_header(value: Any, where: str) -> Block:
    found = _object(value, where, {"schema", "flags", "mode", *NAMES})
    flags = _array(found.get("flags", []), f"{where}.flags", len(_FLAGS))
    if unknown := [each for each in flags if not isinstance(each, str) or each not in _FLAGS]:
        _refuse(f"{where}.flags", f"has {len(unknown)} unknown; known are {', '.join(_FLAGS)}")
    schema = _number(found.get("schema"), f"{where}.schema")
    if not 0 <= schema <= 255:
        _refuse(f"{where}.schema", "must be within 0..255")
    mode = _text(found.get("mode"), f"{where}.mode")
    numbers = {
        name: _number(found[name], f"{where}.{name}")
        for name in ("seq", "ttl")
        if found.get(name) is not None
    }
    header = Header(
        schema=schema,
        flags=Flags(sum({_FLAGS[each] for each in flags})),
        mode="FULL" if mode == "FULL" else "DELTA",
        src=_text_or_none(found.get("src"), f"{where}.src"),
        dst=_text_or_none(found.get("dst"), f"{where}.dst"),
        seq=numbers.get("seq"),
        ttl_s=numbers.get("ttl"),
    )
    return (
        header.block() if mode in ("FULL", "DELTA") else _refuse(f"{where}.mode", "must be FULL or DELTA")
    )


def _object(value: Any, where: str, known: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        _refuse(where, "must be an object")
    if set(value) - known:
        _refuse(where, f"has an unknown name; known are {', '.join(sorted(known))}")
    return value


def _array(value: Any, where: str, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        _refuse(where, f"must be an array of {most} at most")
    return value


def _text(value: Any, where: str) -> str:
    return value if isinstance(value, str) else _refuse(where, "must be a string")


def _text_or_none(value: Any, where: str) -> str | None:
    return None if value is None else _text(value, where)


def _number(value: Any, where: str) -> int:
    return (
        value
        if isinstance(value, int) and not isinstance(value, bool)
        else _refuse(where, "must be a whole number")
    )


def _refuse(where: str, what: str) -> NoReturn:
    raise InvalidRequest(f"{where} {what}.", param=where)
