"""The list of whom all nodes are to forget, without an actor around it."""

import asyncio
import time

from actors.forgotten import forgotten_list
from zoran_ray.errors import Unavailable


class ForgottenHere:
    """See `traces.Everywhere`.

    Attributes:
        silent: Whether it answers nobody.
    """

    def __init__(self, folder, now=time.time):
        self._list = forgotten_list(folder / "head", now)
        self.silent = False

    async def add(self, tenant, subject):
        self._answers()
        await asyncio.to_thread(self._list.add, tenant, subject)

    async def since(self, epoch, version):
        self._answers()
        return await asyncio.to_thread(self._list.since, epoch, version)

    def close(self):
        self._list.close()

    def _answers(self):
        if self.silent:
            raise Unavailable("The journal does not answer.")
