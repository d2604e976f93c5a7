"""One record of the memory: what it holds, when it is valid, and its bytes at rest.

Knows no index, no disk and no rule.

At rest a record is `head ‖ body ‖ embedding`: the head holds both lengths, the body is a JSON list that
begins with the version of its form, the embedding is as it stands in `Record.embedding`. In form 1 the text
is as it is, whatever it begins with; in form 2 it is a `Z5::` frame of it.
"""

import math
import re
import struct
import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from zoran_ray.errors import BodyTooLarge, InvalidRequest, StateDamaged, Z5Error
from zoran_ray.memory.z5 import Z5
from zoran_ray.memory.z5_dictionary import shipped

MOST_NAME_CHARS = 200
MOST_TEXT_BYTES = 64 * 1024
MOST_DIMENSION = 8192
MOST_CORROBORATIONS = 16
"""Further sources that one record remembers; later ones are not added."""

Vector = npt.NDArray[np.float32]

_PLAIN, _FRAMED = 1, 2
_LEAST_FRAMED_BYTES = 96
"""Frames of shorter texts are hardly ever shorter."""
_FRAME_KIND = "conversation"
_FRAME_LEVEL = 3
"""Level 19 saves 6 % more of the text and takes nine times as long."""
_HEAD = struct.Struct("<II")
_FLOAT = np.dtype("<f4")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Layer(StrEnum):
    """Where a record lives. What moves a record between layers: `memory.rules`."""

    __hash__ = str.__hash__  # that of `Enum` is a call of Python for every look-up

    SHORT = "short"
    LONG = "long"
    LATENT = "latent"
    PARASITIC = "parasitic"


class Sensitivity(StrEnum):
    """`special` is a special category in the sense of GDPR, article 9."""

    __hash__ = str.__hash__

    NONE = "none"
    PERSONAL = "personal"
    SPECIAL = "special"


@dataclass(frozen=True, slots=True)
class Provenance:
    """Which request wrote a record, and the number of the journal's leaf that says so."""

    request_id: str = ""
    journal_leaf: int | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One thing remembered. Its `repr` shows neither text nor whom it is about.

    Attributes:
        id: Its name, unique within its tenant.
        tenant: Whose memory it is in; nobody else ever sees it.
        subject: Whom it is about.
        text: What is remembered.
        purpose: What it may be used for.
        created: Unix time in seconds.
        layer: Where it lives.
        embedding: float32[d], little-endian; empty where it is found by its words alone.
        source: Where it came from, `kind:name`, such as `user:anna` or `web:example.org/page`.
        consent: Id of the consent it is kept under; empty where its purpose needs none.
        expires: Unix time in seconds from which on it is gone; None for never.
        leaves: Unix time in seconds at which its time in its layer is over and it is gone; None for never.
        conversation: The conversation it belongs to; empty for none.
        corroborated: Further sources that said the same.
        confirmed: Whether the user confirmed it.
        sensitivity: How much harm it could do in the wrong hands.
        provenance: Which request wrote it.

    Raises:
        InvalidRequest: A field is none; says which.
        BodyTooLarge: The text is longer than `MOST_TEXT_BYTES`.
    """

    id: str
    tenant: str
    subject: str = field(repr=False)
    text: str = field(repr=False)
    purpose: str
    created: float
    layer: Layer = Layer.SHORT
    embedding: bytes = field(default=b"", repr=False)
    source: str = field(default="", repr=False)
    consent: str = ""
    expires: float | None = None
    conversation: str = field(default="", repr=False)
    corroborated: tuple[str, ...] = field(default=(), repr=False)
    confirmed: bool = False
    sensitivity: Sensitivity = Sensitivity.NONE
    provenance: Provenance = Provenance()
    leaves: float | None = None

    def __post_init__(self) -> None:
        for name in ("id", "tenant", "subject", "purpose"):
            check_name(getattr(self, name), name)
        for name in ("source", "consent", "conversation"):
            check_name(getattr(self, name), name, may_be_empty=True)
        check_name(self.provenance.request_id, "request_id", may_be_empty=True)
        if len(self.corroborated) > MOST_CORROBORATIONS:
            raise InvalidRequest(
                f"A record has at most {MOST_CORROBORATIONS} further sources.", param="corroborated"
            )
        for source in self.corroborated:
            check_name(source, "corroborated")
        if not isinstance(self.layer, Layer) or not isinstance(self.sensitivity, Sensitivity):
            raise InvalidRequest("`layer` and `sensitivity` take their own names only.", param="layer")
        _check_text(self.text)
        check_time(self.created, "created")
        for name in ("expires", "leaves"):
            if getattr(self, name) is not None:
                check_time(getattr(self, name), name)
        _check_embedding(self.embedding)

    @property
    def ends(self) -> float | None:
        """Unix time in seconds from which on it is gone, None for never."""
        return earlier(self.expires, self.leaves)

    @property
    def dimension(self) -> int:
        """Numbers in its embedding; 0 where it has none."""
        return len(self.embedding) // 4

    def vector(self) -> Vector:
        """Its embedding, float32[d]; read-only."""
        return np.frombuffer(self.embedding, _FLOAT)


def changed(record: Record, **changes: object) -> Record:
    """The record with other values, which must be ones that `Record` would accept: they are not checked.

    Several times faster than `dataclasses.replace`, which checks every field again.
    """
    made = object.__new__(Record)
    for name, get, put in _FIELDS:
        put(made, changes[name] if name in changes else get(record))
    return made


_SLOTS = [(name, getattr(Record, name)) for name in Record.__slots__]
_FIELDS = [(name, slot.__get__, slot.__set__) for name, slot in _SLOTS]


def earlier(a: float | None, b: float | None) -> float | None:
    """The earlier of two ends; None is never."""
    return b if a is None else a if b is None else min(a, b)


def new_id() -> str:
    """A name that no other record has."""
    return uuid.uuid4().hex


def embedding_bytes(vector: Any) -> bytes:
    """A vector of numbers as `Record.embedding` wants it. Raises: InvalidRequest: It is no such vector."""
    try:
        with np.errstate(over="ignore"):  # `Record` refuses infinity
            numbers = np.asarray(vector, dtype="<f4")
    except (TypeError, ValueError, OverflowError):
        raise InvalidRequest("An embedding is a list of numbers.", param="embedding") from None
    if numbers.ndim != 1:
        raise InvalidRequest("An embedding is one list of numbers.", param="embedding")
    return numbers.tobytes()


def check_name(name: object, param: str, *, may_be_empty: bool = False) -> None:
    """Raises: InvalidRequest: It is not text, is too long, or has characters that no name needs."""
    if not isinstance(name, str) or (not name and not may_be_empty):
        raise InvalidRequest(f"`{param}` must be text, not empty.", param=param)
    if name.isascii() and name.isprintable() and len(name) <= MOST_NAME_CHARS:
        return
    if len(name) > MOST_NAME_CHARS or _CONTROL.search(name) or not _encodable(name):
        raise InvalidRequest(
            f"`{param}` must have at most {MOST_NAME_CHARS} characters, and no control characters.",
            param=param,
        )


def check_time(seconds: object, param: str) -> None:
    """Raises: InvalidRequest: It is no Unix time."""
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not number or not math.isfinite(seconds) or not 0 <= seconds < 2**40:  # type: ignore[arg-type,operator]
        raise InvalidRequest(f"`{param}` must be a Unix time in seconds.", param=param)


def _check_text(text: object) -> None:
    if not isinstance(text, str):
        raise InvalidRequest("`text` must be text.", param="text")
    if not text.isascii() and not _encodable(text):
        raise InvalidRequest("`text` has half a surrogate pair; send valid Unicode.", param="text")
    if len(text) > MOST_TEXT_BYTES // 4 and len(text.encode()) > MOST_TEXT_BYTES:
        raise BodyTooLarge(
            f"A record holds at most {MOST_TEXT_BYTES} bytes of text. Cut it into several.", param="text"
        )


def _check_embedding(embedding: object) -> None:
    if not isinstance(embedding, bytes) or len(embedding) % 4 or len(embedding) > 4 * MOST_DIMENSION:
        raise InvalidRequest(
            f"An embedding is float32, little-endian, at most {MOST_DIMENSION} numbers.", param="embedding"
        )
    if not embedding:
        return
    numbers = np.frombuffer(embedding, dtype="<f4")
    # The square of the length says it all: NaN and infinity spread into it, and 0 has no direction.
    square = float(np.dot(numbers, numbers))
    if not math.isfinite(square) or square < 1e-30:
        raise InvalidRequest(
            "An embedding needs finite numbers of a usual size, not all of them 0.", param="embedding"
        )


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def encode_body(record: Record) -> bytes:
    """Everything but the embedding."""
    return _body(record, _PLAIN, record.text)


def framed_body(record: Record) -> bytes:
    """The same with the text as a `Z5::` frame where that is shorter: for records that are written once."""
    plain = record.text.encode()
    if len(plain) >= _LEAST_FRAMED_BYTES:
        frame = _frames().encode(plain, _FRAME_KIND)
        if len(frame) < len(plain):
            return _body(record, _FRAMED, frame)
    return encode_body(record)


@cache
def _frames() -> Z5:
    return Z5(shipped(), level=_FRAME_LEVEL, short_level=_FRAME_LEVEL, max_bytes=MOST_TEXT_BYTES)


def _body(r: Record, form: int, text: str) -> bytes:
    what = (form, r.id, r.tenant, r.subject, text, r.purpose, r.created, r.layer, r.source, r.consent)
    known = (r.expires, r.conversation, r.corroborated, r.confirmed, r.sensitivity)
    return orjson.dumps(what + known + (r.provenance.request_id, r.provenance.journal_leaf, r.leaves))


def decode_body(body: bytes, embedding: bytes = b"") -> Record:
    """The record of `encode_body`. Raises: StateDamaged: It is none, or of a later form."""
    try:
        form, *fields = orjson.loads(body)
        if form not in (_PLAIN, _FRAMED):
            raise StateDamaged(f"A record has form {form!r}; known are 1 and 2. Update zoran_ray.")
        return Record(
            id=fields[0],
            tenant=fields[1],
            subject=fields[2],
            text=fields[3] if form == _PLAIN else _frames().decode(fields[3]).decode(),
            purpose=fields[4],
            created=fields[5],
            layer=Layer(fields[6]),
            embedding=embedding,
            source=fields[7],
            consent=fields[8],
            expires=fields[9],
            conversation=fields[10],
            corroborated=tuple(fields[11]),
            confirmed=fields[12],
            sensitivity=Sensitivity(fields[13]),
            provenance=Provenance(fields[14], fields[15]),
            leaves=fields[16],
        )
    except (ValueError, TypeError, IndexError, AttributeError, InvalidRequest, BodyTooLarge, Z5Error):
        raise StateDamaged("A record on disk cannot be read. Restore the shard from a replica.") from None


def encode(record: Record, body: bytes | None = None) -> bytes:
    """A record as it is at rest. `body` spares making it where it is there already."""
    return b"".join(encoded(record, body))


def encoded(record: Record, body: bytes | None = None) -> tuple[bytes, ...]:
    """The same in pieces, which spares copying them."""
    body = encode_body(record) if body is None else body
    return _HEAD.pack(len(body), len(record.embedding)), body, record.embedding


def decode(data: bytes) -> Record:
    """The record of `encode`. Raises: StateDamaged: It is none."""
    if len(data) < _HEAD.size:
        raise StateDamaged("A record on disk is cut short. Restore the shard from a replica.")
    body_bytes, embedding_length = _HEAD.unpack_from(data)
    if len(data) != _HEAD.size + body_bytes + embedding_length:
        raise StateDamaged("A record on disk is cut short. Restore the shard from a replica.")
    split = _HEAD.size + body_bytes
    return decode_body(data[_HEAD.size : split], data[split:])


def as_json(record: Record) -> dict[str, Any]:
    """Everything that is kept of a record but its embedding, under the names of its fields."""
    names = [name for name in Record.__slots__ if name not in ("embedding", "provenance")]
    found: dict[str, Any] = {name: getattr(record, name) for name in names}
    found["corroborated"] = list(record.corroborated)
    found["layer"], found["sensitivity"] = str(record.layer), str(record.sensitivity)
    found["provenance"] = {
        "request_id": record.provenance.request_id,
        "journal_leaf": record.provenance.journal_leaf,
    }
    return found


def without_vector(record: Record) -> Record:
    """The record without its embedding."""
    return changed(record, embedding=b"") if record.embedding else record
