"""Who calls, and what they may use: keys as one gateway knows them, in memory.

Takes raw header values; knows nothing of HTTP, of where keys are kept, or of rate limits.
"""

import hmac
import re
from collections.abc import Callable
from fnmatch import fnmatchcase

from zoran_ray.access.secret import digest_of
from zoran_ray.errors import PermissionDenied, Unauthenticated
from zoran_ray.messages import KeyInfo, KeySnapshot

BEARER = re.compile(r"bearer +([!-~]+) *", re.IGNORECASE | re.ASCII)
BARE = re.compile(r" *([!-~]+) *", re.ASCII)

MISSING = "No API key was sent. Send one as 'Authorization: Bearer zk-...' or as 'x-api-key: zk-...'."
MALFORMED = (
    "The API key was not sent as expected. Send 'Authorization: Bearer zk-...' or 'x-api-key: zk-...'."
)
GONE = "The API key in whose name this is asked was revoked or has expired. Ask again with another one."
UNKNOWN = "This API key is not valid. Check it, or ask the operator of this server for a new one."


class KeyRing:
    """One immutable snapshot of all valid keys; a new snapshot makes a new ring.

    Args:
        clock: Unix time in seconds.
    """

    def __init__(self, snapshot: KeySnapshot, clock: Callable[[], float]) -> None:
        self._by_digest = {key.digest: key for key in snapshot.keys}
        self._by_id = {key.key_id: key for key in snapshot.keys}
        self._clock = clock
        # Not "no valid key": a server whose last key expired or was revoked must not open by itself.
        self._open = snapshot.version == 0 and not snapshot.keys

    @property
    def open(self) -> bool:
        """Whether no key was ever created, so that a server on loopback may do without."""
        return self._open

    def authenticate(
        self, authorization: bytes | str | None, x_api_key: bytes | str | None = None
    ) -> KeyInfo:
        """Finds the key that was sent; never returns anything but a key of the snapshot.

        Args:
            authorization: Raw value of the header, None if it is not there. Decides if it is.
            x_api_key: Likewise.

        Raises:
            Unauthenticated: None sent, not understood, unknown or expired; the last two alike.
        """
        if authorization is not None:
            digest = digest_of(_sent(BEARER, authorization))
        elif x_api_key is not None:
            digest = digest_of(_sent(BARE, x_api_key))
        else:
            raise Unauthenticated(MISSING)
        # A dictionary's timing depends on the digest, which nobody can steer towards a stored one
        # without already knowing a key; what is compared byte by byte is compared in constant time.
        key = self._by_digest.get(digest)
        if key is None or not hmac.compare_digest(key.digest, digest):
            raise Unauthenticated(UNKNOWN)
        if key.expires is not None and key.expires <= self._clock():
            raise Unauthenticated(UNKNOWN)
        return key

    def named(self, key_id: str) -> KeyInfo:
        """The key of this id, for whoever was authenticated with it before.

        Raises:
            Unauthenticated: It was revoked, or has expired.
        """
        key = self._by_id.get(key_id)
        if key is None or (key.expires is not None and key.expires <= self._clock()):
            raise Unauthenticated(GONE)
        return key

    def authorize(self, key: KeyInfo, model: str) -> None:
        """Checks that a key may use a model.

        Args:
            model: Its canonical name, such as `local/pocket`; patterns are not tried on aliases.

        Raises:
            PermissionDenied: It may not; says what it may use.
        """
        if key.models and not any(fnmatchcase(model, pattern) for pattern in key.models):
            allowed = ", ".join(key.models)
            raise PermissionDenied(
                f"This API key may not use this model. Choose one that matches: {allowed}", param="model"
            )


def _sent(form: re.Pattern[str], value: bytes | str) -> str:
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    match = form.fullmatch(text)
    if match is None:
        raise Unauthenticated(MALFORMED)
    return match[1]
