"""What rooms hand to the journal: what happened, with names that are not hidden yet. Knows no file.

An event lives until it is written and no longer; the entry that comes of it has no name in the clear.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from zoran_ray.errors import InvalidRequest
from zoran_ray.journal.entry import BLINDED_FIELDS, Entry, Kind, Scalar, blinded
from zoran_ray.journal.salts import Name, Salts

MOST_NAME_CHARS = 256


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. Its `repr` does not show whom it is about.

    Attributes:
        kind: What happened.
        meta: Details, see `Entry`; without names.
        tenant: Whose it is; "" where it is nobody's.
        subject: Whom it is about; "" where it is about nobody.
        at_ms: When, in Unix milliseconds; None for when it is written.

    Raises:
        InvalidRequest: A name is none, a detail has no place in a journal, or `meta` has a field that only
            `tenant` and `subject` may fill.
    """

    kind: Kind
    meta: Mapping[str, Scalar] = field(default_factory=dict)
    tenant: str = ""
    subject: str = field(default="", repr=False)
    at_ms: int | None = None

    def __post_init__(self) -> None:
        for param in ("tenant", "subject"):
            _check_name(getattr(self, param), param)
        if named := sorted(BLINDED_FIELDS & self.meta.keys()):
            raise InvalidRequest(
                f"`{named[0]}` of an event stands for a person: use its fields `tenant` and `subject`.",
                param=named[0],
            )
        # Here, where whoever is at fault hears of it.
        object.__setattr__(
            self, "meta", Entry(self.kind, 0 if self.at_ms is None else self.at_ms, self.meta).meta
        )

    def names(self) -> Iterator[Name]:
        """Whose keys its entry needs."""
        if self.tenant:
            yield self.tenant, None
        if self.subject:
            yield self.tenant, self.subject


def entry_of(event: Event, salts: Salts, now_ms: int) -> Entry:
    """The entry of an event: its names are keyed hashes.

    Args:
        now_ms: Unix milliseconds, where the event does not say when.

    Raises:
        InvalidRequest: It has too many details to stand beside its names.
        ConfigError, Unavailable: The keys cannot be used.
    """
    keys = salts.of(event.names())
    meta = dict(event.meta)
    for tenant, subject in event.names():
        name, value = ("tenant", tenant) if subject is None else ("subject", subject)
        meta[name] = blinded(value, keys[tenant, subject])
    return Entry(event.kind, now_ms if event.at_ms is None else event.at_ms, meta)


def _check_name(name: object, param: str) -> None:
    if not isinstance(name, str) or len(name) > MOST_NAME_CHARS:
        raise InvalidRequest(
            f"`{param}` of an event must be text of at most {MOST_NAME_CHARS} characters.", param=param
        )
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InvalidRequest(f"`{param}` of an event must be valid Unicode.", param=param) from None
