"""The form of what stands in place of a value, and how it is derived. Stores nothing.

`[EMAIL_q3vx…]`: ASCII that JSON writes as it is, in one pair of brackets, so that the next `[` always
ends a placeholder that was not finished.
"""

import base64
import hashlib
import hmac
import re

FORM = re.compile(r"\[[A-Z][A-Z_]{1,23}_[a-z2-7]{16}\]")
MOST_CHARS = 1 + 24 + 1 + 16 + 1
"""Length of the longest placeholder."""

_UNFINISHED = re.compile(r"\[(?:[A-Z](?:[A-Z_]{0,23}|[A-Z_]{1,23}_[a-z2-7]{0,16})?)?\Z")
_ID_BYTES = 10


def placeholder(key: bytes, tenant: str, kind: str, value: str) -> str:
    """Always the same for the same tenant, kind and value; says nothing about the value without the key.

    80 bits: two values of one tenant would meet after about 10^12 of them.
    """
    digest = hmac.new(key, digestmod=hashlib.sha256)
    for part in (tenant, kind, value):
        # A lone surrogate can come out of JSON; it must be maskable like all else.
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    name = base64.b32encode(digest.digest()[:_ID_BYTES]).decode("ascii").lower()
    return f"[{kind}_{name}]"


def unfinished(text: str) -> int:
    """Where the longest suffix begins that more text could make a placeholder; `len(text)` if none does."""
    place = text.rfind("[", max(0, len(text) - MOST_CHARS + 1))
    return place if place >= 0 and _UNFINISHED.match(text, place) else len(text)
