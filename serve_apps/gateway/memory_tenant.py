"""Whose memory a key reaches, and who may speak for the operator. Knows keys, no memory."""

from zoran_ray.errors import PermissionDenied
from zoran_ray.memory.rules import source_kind
from zoran_ray.messages import KeyInfo

OPERATOR = "-"
"""The tenant of keys that have none: the operator's own. No key may have it by name."""
_OPERATORS_OWN = "operator"
_MOST_SOURCE_CHARS = 200


def tenant_of(key: KeyInfo) -> str:
    """Whose memory a key has. Raises: PermissionDenied: Its tenant has the name of the operator's own."""
    if key.tenant == OPERATOR:
        raise PermissionDenied(
            f"The tenant {OPERATOR!r} is that of keys without one. Make a key with another tenant."
        )
    return key.tenant or OPERATOR


def operator_only(key: KeyInfo) -> None:
    """Raises: PermissionDenied: The key is a tenant's: it must neither see nor slow down the others."""
    if tenant_of(key) != OPERATOR:
        raise PermissionDenied("This is the operator's: use a key without a tenant.")


def source_of(key: KeyInfo, given: str) -> str:
    """Where a record comes from.

    A tenant's own application is believed within its tenant: it names users, tools and pages as it knows
    them. `operator` is believed by the rules without more ado, so only a key without a tenant may say it.
    """
    if source_kind(given) == _OPERATORS_OWN and tenant_of(key) != OPERATOR:
        raise PermissionDenied(
            "A tenant's key cannot speak for the operator. Give another source, such as 'user:anna'.",
            param="source",
        )
    return given or f"user:{key.name}"[:_MOST_SOURCE_CHARS]
