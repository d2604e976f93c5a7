"""Who may come in: the current key ring, or nobody in particular on a loopback without keys."""

import time
from collections.abc import Mapping

from zoran_ray.access import KeyRing
from zoran_ray.errors import PermissionDenied
from zoran_ray.messages import ANYBODY_ID, KeyInfo, KeySnapshot

ANYBODY = KeyInfo(key_id=ANYBODY_ID, name="anybody", digest="")


class Door:
    """Authenticates against the newest snapshot of keys.

    Args:
        open_without_keys: Whether a server on which no key was ever created lets everybody in.
    """

    def __init__(self, *, open_without_keys: bool) -> None:
        self._open_without_keys = open_without_keys
        # Until the keys are known nobody comes in: version -1 is no snapshot of any store.
        self._ring = KeyRing(KeySnapshot(version=-1), time.time)

    def update(self, snapshot: KeySnapshot) -> None:
        """Use these keys from now on."""
        self._ring = KeyRing(snapshot, time.time)

    def admit(self, headers: Mapping[bytes, bytes]) -> KeyInfo:
        """The key that was sent with these headers.

        Raises:
            Unauthenticated: None or no valid one.
        """
        if self._ring.open and self._open_without_keys:
            return ANYBODY
        return self._ring.authenticate(headers.get(b"authorization"), headers.get(b"x-api-key"))

    def known(self, key_id: str) -> KeyInfo:
        """The key of this id, for a request that this cluster itself makes in its name.

        Raises:
            Unauthenticated: It was revoked, or has expired.
        """
        if key_id == ANYBODY.key_id and self._ring.open and self._open_without_keys:
            return ANYBODY
        return self._ring.named(key_id)

    def authorize(self, key: KeyInfo, model: str) -> None:
        """Raises: PermissionDenied if the key may not use the model."""
        if key is not ANYBODY:
            self._ring.authorize(key, model)

    def may(self, key: KeyInfo, model: str) -> bool:
        """Whether the key may use the model."""
        try:
            self.authorize(key, model)
        except PermissionDenied:
            return False
        return True
