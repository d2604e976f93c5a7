"""What a model may ask for: a passage replaced, a file written whole, a file removed. Knows no format."""

from dataclasses import dataclass, field

from zoran_ray.errors import RequestError


@dataclass(frozen=True, slots=True)
class Replace:
    """A passage of a file gives way to another.

    Attributes:
        path: Of the file, as the model wrote it; nothing has checked it yet.
        old: Lines that are there now, each with its end. Empty: the file is new.
        new: Lines that take their place.
    """

    path: str
    old: str = field(repr=False)
    new: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Write:
    """A file has this text, whatever it had."""

    path: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Remove:
    """A file is gone."""

    path: str


Edit = Replace | Write | Remove


class EditError(RequestError):
    """A model's edits cannot be read or applied; none was. The message is for the model."""

    code = "edit_refused"
