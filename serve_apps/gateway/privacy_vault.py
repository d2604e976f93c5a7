"""The vault as an event loop needs it: opened late, asked in a thread of its own.

Key and vault lie in the state directory of the node that this gateway runs on. Gateways of one node share
them; those of other nodes have their own, so a value that was masked on one node cannot be put back on
another unless both see the same folder.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from zoran_ray.errors import Overloaded, Unavailable, ZoranError
from zoran_ray.privacy import VAULT_FILE, Keys, Vault, keys_in
from zoran_ray.settings import PrivacySettings

MOST_WAITING = 256
"""Requests that wait for the vault at once; one more is refused."""
_SWEEP_S = 600.0

log = logging.getLogger("zoran.gateway")

T = TypeVar("T")


class NodeVault:
    """Values behind placeholders, for one gateway.

    Every method raises `Unavailable` where key or vault cannot be used: the caller then sends nothing.

    Args:
        settings: How long and how many values are kept.
        folder: Of key and vault.
    """

    def __init__(self, settings: PrivacySettings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="privacy-vault")
        self._waiting = 0
        self._keys: Keys | None = None
        self._vault: Vault | None = None

    async def naming_key(self) -> bytes:
        """Key of placeholders; made with the first use of a new deployment."""
        if self._keys is None:
            await self._run(self._open)
        assert self._keys is not None
        return self._keys.naming

    async def put(self, tenant: str, values: Mapping[str, str]) -> None:
        """Keeps values under their placeholders; durable on return."""
        if values:
            await self._run(lambda: self._open().put(tenant, values))

    async def get(self, tenant: str, placeholders: Collection[str]) -> dict[str, str]:
        """The values of those placeholders that are this tenant's and not expired."""
        return await self._run(lambda: self._open().get(tenant, placeholders)) if placeholders else {}

    def value(self, tenant: str, placeholder: str) -> str | None:
        """One value, at once: for threads."""
        return self._translated(lambda: self._open().get(tenant, [placeholder])).get(placeholder)

    async def keep_swept(self) -> None:
        """Deletes expired values of tenants who do not come back; runs until cancelled."""
        while True:
            with contextlib.suppress(Unavailable, OSError):
                if (self._folder / VAULT_FILE).exists():
                    await self._run(lambda: self._open().sweep())
            await asyncio.sleep(_SWEEP_S)

    def close(self) -> None:
        """Lets go of the file; what waits is dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._vault is not None:
            self._vault.close()

    def _open(self) -> Vault:
        if self._vault is None:
            self._keys = keys_in(self._folder)
            self._vault = Vault(
                self._folder / VAULT_FILE,
                self._keys,
                time.time,
                ttl_s=self._settings.vault_ttl_s,
                most_per_tenant=self._settings.vault_values_per_tenant,
            )
        return self._vault

    async def _run(self, step: Callable[[], T]) -> T:
        if self._waiting >= MOST_WAITING:
            raise Overloaded("Too many requests wait for the privacy vault; try again.", retry_after_s=1.0)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._pool, lambda: self._translated(step)
            )
        finally:
            self._waiting -= 1

    def _translated(self, step: Callable[[], T]) -> T:
        try:
            return step()
        except Exception as error:
            # Ours name files and what to do; others' words may hold a value.
            told = error.message if isinstance(error, ZoranError) else type(error).__name__
            log.error("the privacy vault cannot be used: %s", told)
        raise Unavailable(
            "The privacy vault of this server cannot be used, so nothing was sent. Tell the operator.",
            retry_after_s=5.0,
        )
