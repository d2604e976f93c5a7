"""What bodies may say to the memory, field by field. Unknown fields are refused. Knows no memory.

Ids stand in URLs, headers and the journal, none of which forgets: they are plain tokens, and whoever makes
his own must put nobody's name into them.
"""

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from zoran_ray.errors import InvalidRequest
from zoran_ray.memory.answers import MOST_IDS
from zoran_ray.memory.record import MOST_DIMENSION, MOST_NAME_CHARS, Layer, Sensitivity
from zoran_ray.memory.search import MOST_HITS, MOST_NAMES

MOST_RECORDS = 1000
"""Of one call."""
MOST_RECALLED = 20
"""Records that one chat request may be given."""
_MOST_SHOWN_CHARS = 64

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,120}$")]
Name = Annotated[str, Field(min_length=1, max_length=MOST_NAME_CHARS)]
Source = Annotated[str, Field(pattern=r"^([a-z][a-z0-9_-]{0,39}:\S.*)?$", max_length=MOST_NAME_CHARS)]
NameOrNone = Annotated[str, Field(max_length=MOST_NAME_CHARS)]
Moment = Annotated[float, Field(ge=0, lt=2**40, allow_inf_nan=False)]
# JSON knows neither tuples nor enumerations; everything else is taken as it is meant.
Layers = Annotated[tuple[Annotated[Layer, Field(strict=False)], ...], Field(strict=False, max_length=4)]
Names = Annotated[tuple[Name, ...], Field(strict=False, max_length=MOST_NAMES)]
Numbers = Annotated[
    tuple[Annotated[float, Field(allow_inf_nan=False)], ...], Field(strict=False, max_length=MOST_DIMENSION)
]


class Fields(BaseModel):
    """A body, or a part of one."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    def __repr_args__(self) -> tuple[()]:
        """Nothing: what is remembered, and of whom, is in no log."""
        return ()


class Draft(Fields):
    """A record as a caller gives it; whose it is, its key says."""

    subject: Name
    text: str
    purpose: Name
    layer: Annotated[Layer, Field(strict=False)] = Layer.LONG
    id: Id | None = None
    source: Source = ""
    """`kind:name`; empty for the key itself."""
    created: Moment | None = None
    """Now, where it is not said; never later."""
    consent: NameOrNone = ""
    expires: Moment | None = None
    conversation: NameOrNone = ""
    sensitivity: Annotated[Sensitivity, Field(strict=False)] = Sensitivity.NONE
    embedding: Numbers | None = None


class Drafts(Fields):
    """Many at once."""

    records: Annotated[tuple[Draft, ...], Field(strict=False, min_length=1, max_length=MOST_RECORDS)]


class Search(Fields):
    """A question."""

    text: str = ""
    embedding: Numbers | None = None
    subjects: Names | None = None
    layers: Layers | None = None
    purposes: Names | None = None
    since: Moment | None = None
    until: Moment | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_HITS)] = 10


class Forget(Fields):
    """What is to be forgotten: one of the three."""

    ids: Annotated[tuple[Id, ...], Field(strict=False, min_length=1, max_length=MOST_IDS)] | None = None
    subject: Name | None = None
    everything: bool = False
    compact: bool = False

    @model_validator(mode="after")
    def _one(self) -> "Forget":
        if (self.ids is not None) + (self.subject is not None) + self.everything != 1:
            raise ValueError("say one of 'ids', 'subject' and 'everything': true")
        return self


class About(Fields):
    """Whom an export is about."""

    subject: Name


class Agreement(Fields):
    """A consent as a caller gives it."""

    subject: Name
    purposes: Annotated[tuple[Name, ...], Field(strict=False, min_length=1, max_length=100)]
    layers: Annotated[Layers, Field(min_length=1)]
    id: Id | None = None
    given: Moment | None = None
    """Since when; now, where it is not said, and never later."""
    expires: Moment | None = None


class Withdrawal(Fields):
    """How a consent is taken back."""

    forget: bool = True


class Nothing(Fields):
    """A body without fields."""


class Wish(Fields):
    """What a chat request wants of the memory: `zoran.memory` of its body."""

    subject: Name
    """Who is talking. Nothing about anybody else is read or written."""
    read: bool = False
    """Give the model what is remembered."""
    write: bool = False
    """Remember what is said."""
    layers: Layers | None = None
    """Where to read; None for `short` and `long`."""
    purpose: Name | None = None
    """Read only what is kept for it, and write for it; None: read all, write for `conversation`."""
    consent: NameOrNone = ""
    """Under which to write."""
    conversation: NameOrNone = ""
    """Name of this conversation; empty: told by its beginning."""
    limit: Annotated[int, Field(ge=1, le=MOST_RECALLED)] = 5
    """Most records to be given to the model."""
    required: bool = False
    """Refuse the request where the memory cannot be read, instead of going on without."""


F = TypeVar("F", bound=Fields)


def read_fields(kind: type[F], given: object, place: str = "") -> F:
    """The fields in a parsed body.

    Args:
        kind: Which there are.
        given: An object of JSON.
        place: Where it stands in the body; empty for the body itself.

    Raises:
        InvalidRequest: A field is unknown, missing or not what it should be; `param` names it.
    """
    try:
        return kind.model_validate(given)
    except ValidationError as errors:
        # Without its cause, which carries what was sent.
        found: Any = errors.errors(include_url=False, include_context=False, include_input=False)[0]
    param = _param(place, found["loc"])
    if found["type"] == "extra_forbidden":
        what = f"is no field here; there are {', '.join(kind.model_fields)}"
        if len(found["loc"]) > 1:
            what = "is no field here"
    else:
        what = str(found["msg"]).removeprefix("Value error, ")
    raise InvalidRequest(f"'{param}': {what}." if param else f"The body: {what}.", param=param or None)


def _param(place: str, steps: Sequence[str | int]) -> str:
    parts = [str(step)[:_MOST_SHOWN_CHARS] for step in steps]
    return ".".join([place, *parts] if place else parts)
