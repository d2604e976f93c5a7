"""Consent: who agreed to what, for how long, and whether it was taken back; and what may be kept for what.

A consent is given once. Taken back, it never comes back: whoever agrees again gives a new one. Knows no
disk and no clock: the time comes in with the question.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from zoran_ray.errors import ConsentRequired, InvalidRequest, PermissionDenied, StorageFull
from zoran_ray.memory.record import (
    Layer,
    Provenance,
    Record,
    Sensitivity,
    changed,
    check_name,
    check_time,
    earlier,
)

MOST_PURPOSES = 100

Droppable = Literal["text", "embedding", "source", "conversation", "provenance", "corroborated"]
"""Fields that a record can do without."""
_EMPTY: dict[str, object] = {
    "text": "",
    "embedding": b"",
    "source": "",
    "conversation": "",
    "provenance": Provenance(),
    "corroborated": (),
}
_HARM = {Sensitivity.NONE: 0, Sensitivity.PERSONAL: 1, Sensitivity.SPECIAL: 2}


@dataclass(frozen=True, slots=True)
class Consent:
    """One subject's agreement.

    Attributes:
        id: Its name, unique within its tenant.
        tenant: Towards whom.
        subject: Who agreed.
        purposes: What records may be used for.
        layers: Where they may be kept (its scope).
        given: Unix time in seconds from which on it holds.
        expires: Unix time in seconds from which on it does not hold any more; None for never.
        withdrawn: Unix time in seconds at which it was taken back; None if it was not.

    Raises:
        InvalidRequest: A field is none.
    """

    id: str
    tenant: str
    subject: str = field(repr=False)
    purposes: tuple[str, ...]
    layers: tuple[Layer, ...]
    given: float
    expires: float | None = None
    withdrawn: float | None = None

    def __post_init__(self) -> None:
        for name in ("id", "tenant", "subject"):
            check_name(getattr(self, name), name)
        if not 1 <= len(self.purposes) <= MOST_PURPOSES:
            raise InvalidRequest(f"A consent has 1 to {MOST_PURPOSES} purposes.", param="purposes")
        for purpose in self.purposes:
            check_name(purpose, "purposes")
        if not self.layers or not all(isinstance(layer, Layer) for layer in self.layers):
            raise InvalidRequest(f"The layers of a consent are some of {', '.join(Layer)}.", param="layers")
        for name in ("given", "expires", "withdrawn"):
            if name == "given" or getattr(self, name) is not None:
                check_time(getattr(self, name), name)

    def holds(self, now: float) -> bool:
        """Whether it is valid at a Unix time in seconds."""
        over = self.withdrawn is not None or (self.expires is not None and now >= self.expires)
        return self.given <= now and not over


class ConsentBook:
    """All consents that one shard knows.

    Args:
        most: Most consents it keeps.
    """

    def __init__(self, most: int = 1_000_000) -> None:
        self._most = most
        self._known: dict[tuple[str, str], Consent] = {}
        self._by_subject: dict[tuple[str, str], set[str]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def check_new(self, consent: Consent) -> bool:
        """Whether a consent may be written down; False where it is there already.

        Raises:
            InvalidRequest: Another one has its id, or it is withdrawn from the beginning.
            StorageFull: There are too many.
        """
        if consent.withdrawn is not None:
            raise InvalidRequest("A consent cannot be withdrawn before it is given.", param="withdrawn")
        known = self._known.get((consent.tenant, consent.id))
        if known is not None:
            if replace(known, withdrawn=None) == consent:
                return False
            raise InvalidRequest("Another consent has this id. Choose a new one.", param="id")
        if len(self._known) >= self._most:
            raise StorageFull(f"This shard keeps at most {self._most} consents. Add a shard.")
        return True

    def keep(self, consent: Consent) -> None:
        """Writes a consent down."""
        self._known[(consent.tenant, consent.id)] = consent
        self._by_subject.setdefault((consent.tenant, consent.subject), set()).add(consent.id)

    def withdraw(self, tenant: str, consent_id: str, at: float) -> None:
        """Takes a consent back; the first time counts. One that is not known stays unknown."""
        known = self._known.get((tenant, consent_id))
        if known is not None and known.withdrawn is None:
            self._known[(tenant, consent_id)] = replace(known, withdrawn=at)

    def find(self, tenant: str, consent_id: str) -> Consent | None:
        """A tenant's consent by its id."""
        return self._known.get((tenant, consent_id))

    def of(self, tenant: str, subject: str) -> list[Consent]:
        """What a subject agreed to, withdrawn or not."""
        ids = sorted(self._by_subject.get((tenant, subject), ()))
        return [self._known[(tenant, consent_id)] for consent_id in ids]

    def subjects(self, tenant: str) -> set[str]:
        """Everybody who agreed to something towards a tenant."""
        return {subject for owner, subject in self._by_subject if owner == tenant}

    def tenants(self) -> set[str]:
        """Tenants that have a consent."""
        return {tenant for tenant, _ in self._by_subject}

    def any_of(self, tenant: str) -> bool:
        """Whether a tenant has any consent."""
        return any(key[0] == tenant for key in self._by_subject)

    def all(self) -> Iterable[Consent]:
        """Every consent."""
        return self._known.values()

    def forget_subject(self, tenant: str, subject: str) -> None:
        """Removes a subject's consents."""
        for consent_id in self._by_subject.pop((tenant, subject), ()):
            del self._known[(tenant, consent_id)]

    def forget_tenant(self, tenant: str) -> None:
        """Removes a tenant's consents."""
        for key in [key for key in self._by_subject if key[0] == tenant]:
            self.forget_subject(*key)

    def allows(self, record: Record, now: float) -> bool:
        """Whether the consent a record names allows it; where it names none, there is nothing to ask."""
        return not record.consent or self._refusal(record, now) is None

    def check(self, record: Record, now: float) -> Consent:
        """The consent that a record names. Raises: ConsentRequired: It does not allow the record."""
        refusal = self._refusal(record, now)
        if refusal is not None:
            raise ConsentRequired(refusal, param="consent")
        return self._known[(record.tenant, record.consent)]

    def _refusal(self, record: Record, now: float) -> str | None:
        consent = self._known.get((record.tenant, record.consent))
        # Another's consent is treated as none: whether it exists is nobody's business.
        if consent is None or consent.subject != record.subject:
            return "This subject gave no consent of this id. Record the consent first."
        if consent.withdrawn is not None:
            return "This consent was withdrawn. Ask for a new one."
        if not consent.holds(now):
            return "This consent does not hold now: it is over, or has not begun. Ask for a new one."
        if record.purpose not in consent.purposes:
            return f"This consent is not for the purpose {record.purpose!r}. Ask for one that is."
        if record.layer not in consent.layers:
            return f"This consent is not for the layer {record.layer.value!r}. Ask for one that is."
        return None


class PurposeRule(BaseModel):
    """What may be kept for one purpose: a profile of data minimisation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    consent: Literal["required", "not_needed"] = "required"
    """Whether a record needs a consent. A consent that a record names must be valid either way."""
    fields: tuple[Droppable, ...] = ("text", "embedding")
    """Fields that may be kept; the others of those that a record can do without are dropped."""
    most_sensitivity: Sensitivity = Sensitivity.PERSONAL
    """The most sensitive records that are kept at all."""
    most_ttl_s: Annotated[float, Field(gt=0)] | None = None
    """Longest a record is kept, in seconds; null for no bound beyond that of its layer."""


@lru_cache(maxsize=100)
def _not_kept(fields: tuple[Droppable, ...]) -> tuple[tuple[str, object], ...]:
    """Names of the fields that are dropped, each with what stands there instead."""
    return tuple((name, empty) for name, empty in _EMPTY.items() if name not in fields)


def minimised(record: Record, rule: PurposeRule) -> Record:
    """The record without what its purpose does not need.

    Raises:
        PermissionDenied: It is too sensitive for its purpose.
    """
    if _HARM[record.sensitivity] > _HARM[rule.most_sensitivity]:
        raise PermissionDenied(
            f"Nothing {record.sensitivity.value!r} is kept for the purpose {record.purpose!r}.",
            param="sensitivity",
        )
    dropped = {name: empty for name, empty in _not_kept(rule.fields) if getattr(record, name) != empty}
    if rule.most_ttl_s is not None:
        dropped["expires"] = earlier(record.expires, record.created + rule.most_ttl_s)
    return changed(record, **dropped) if dropped else record


def consent_json(consent: Consent) -> dict[str, Any]:
    """A consent as plain values, for an export."""
    return {
        "id": consent.id,
        "purposes": list(consent.purposes),
        "layers": [str(layer) for layer in consent.layers],
        "given": consent.given,
        "expires": consent.expires,
        "withdrawn": consent.withdrawn,
    }
