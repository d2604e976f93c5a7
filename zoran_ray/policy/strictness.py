"""Which way each setting of a policy is stricter, and how an override may move it. Knows none by name.

Every leaf of the rules carries one of the markers below. `partial_of` makes the model of an override from
them, `tighten` lays an override over rules and `loosened` finds what would be looser. A marker's `meet` is
never looser than its `base`, whatever `mine` says, so an override cannot loosen even where nobody checked.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Protocol, TypeVar, get_origin

from pydantic import BaseModel, create_model
from pydantic.fields import FieldInfo

from zoran_ray.offers import Frozen

Rules = TypeVar("Rules", bound=BaseModel)
Place = tuple[str | int, ...]


class Marker(Protocol):
    """Which way a setting is stricter."""

    def partial(self, annotation: Any) -> Any:
        """Type of the setting in an override; None where an override may not name it."""
        ...

    def meet(self, base: Any, mine: Any) -> Any:
        """The stricter of both."""
        ...

    def loosens(self, base: Any, mine: Any) -> str:
        """What `mine` would loosen, for a person; empty where nothing."""
        ...


class Fixed:
    """The operator's alone."""

    def partial(self, annotation: Any) -> Any:
        return None

    def meet(self, base: Any, mine: Any) -> Any:
        return base

    def loosens(self, base: Any, mine: Any) -> str:
        return "an override may not change this"


class Most:
    """A limit from above, and `True` for what is permitted: smaller is stricter."""

    def partial(self, annotation: Any) -> Any:
        return annotation

    def meet(self, base: Any, mine: Any) -> Any:
        return min(base, mine)

    def loosens(self, base: Any, mine: Any) -> str:
        return f"{mine} is looser than the policy's {base}" if mine > base else ""


class Least:
    """A limit from below, and `True` for what is demanded: larger is stricter."""

    def partial(self, annotation: Any) -> Any:
        return annotation

    def meet(self, base: Any, mine: Any) -> Any:
        return max(base, mine)

    def loosens(self, base: Any, mine: Any) -> str:
        return f"{mine} is looser than the policy's {base}" if mine < base else ""


class FirstIsStrictest:
    """A word of a list that goes from strict to loose."""

    def __init__(self, *words: str) -> None:
        self._words = words

    def partial(self, annotation: Any) -> Any:
        return annotation

    def meet(self, base: Any, mine: Any) -> Any:
        return min(base, mine, key=self._words.index)

    def loosens(self, base: Any, mine: Any) -> str:
        is_looser = self._words.index(mine) > self._words.index(base)
        return f"'{mine}' is looser than the policy's '{base}'" if is_looser else ""


class Keep:
    """A list, or a mapping, of what is permitted: an override names what stays of it."""

    def partial(self, annotation: Any) -> Any:
        return tuple[str, ...] if get_origin(annotation) is dict else annotation

    def meet(self, base: Any, mine: Any) -> Any:
        if isinstance(base, dict):
            return {name: value for name, value in base.items() if name in mine}
        return tuple(item for item in base if item in mine)

    def loosens(self, base: Any, mine: Any) -> str:
        extra = [item for item in mine if item not in base]
        return f"the policy does not have '{str(extra[0])[:64]}'" if extra else ""


class Add:
    """A list of what is forbidden or demanded besides: an override adds to it."""

    def partial(self, annotation: Any) -> Any:
        return annotation

    def meet(self, base: Any, mine: Any) -> Any:
        return base + tuple(item for item in mine if item not in base)

    def loosens(self, base: Any, mine: Any) -> str:
        return ""


MARKERS = (Fixed, Most, Least, FirstIsStrictest, Keep, Add)


def marker_of(field: FieldInfo) -> Marker | None:
    """The field's marker; None where the field is a section."""
    return next((each for each in field.metadata if isinstance(each, MARKERS)), None)


def partial_of(rules: type[BaseModel]) -> type[BaseModel]:
    """The model of an override: every setting may be left out, and what is `Fixed` is not there."""
    fields: dict[str, Any] = {}
    for name, field in rules.model_fields.items():
        marker = marker_of(field)
        kind = marker.partial(field.annotation) if marker else partial_of(_section(field))
        if kind is not None:
            limits = [each for each in field.metadata if not isinstance(each, MARKERS)]
            checked = Annotated[kind, *limits] if limits and kind is field.annotation else kind
            fields[name] = (checked | None, FieldInfo(default=None, description=field.description))
    return create_model(f"{rules.__name__}Override", __base__=Frozen, __doc__=rules.__doc__, **fields)


def tighten(rules: Rules, override: BaseModel) -> Rules:
    """The rules with an override laid over them: never looser than before, whatever the override says."""
    changed: dict[str, Any] = {}
    for name, base, mine, marker in _both(rules, override):
        changed[name] = marker.meet(base, mine) if marker else tighten(base, mine)
    return rules.model_copy(update=changed)


def loosened(rules: BaseModel, override: BaseModel, place: Place = ()) -> Iterator[tuple[Place, str]]:
    """Where an override tries to loosen, and what."""
    for name, base, mine, marker in _both(rules, override):
        if not marker:
            yield from loosened(base, mine, (*place, name))
        elif told := marker.loosens(base, mine):
            yield (*place, name), told


def _both(rules: BaseModel, override: BaseModel) -> Iterator[tuple[str, Any, Any, Marker | None]]:
    """Each setting that the override names: its name, the rules' value, the override's, the marker."""
    for name, field in type(rules).model_fields.items():
        if (mine := getattr(override, name, None)) is not None:
            yield name, getattr(rules, name), mine, marker_of(field)


def _section(field: FieldInfo) -> type[BaseModel]:
    kind = field.annotation
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        raise TypeError(f"{kind} needs a marker that says which way it is stricter")
    return kind
