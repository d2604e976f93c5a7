"""Real runs of pytest, each program run once: what it said is said again, with another canary."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tests.autopilot.here import Ended, Here

_CANARY = re.compile(r"test_zoran_([0-9a-f]+)\.py")
_SAID: dict[str, tuple[str, Ended]] = {}


class Recorded:
    """A `CodeRunner` for tests that ask for the same runs again and again. Args: here: Runs what is new."""

    def __init__(self, here: Here) -> None:
        self._here = here

    async def run(self, files: Mapping[str, bytes], argv: Sequence[str], *, timeout_s: float) -> Ended:
        nonce = next(match[1] for name in files if (match := _CANARY.fullmatch(name)))
        key = repr((sorted(files.items()), argv)).replace(nonce, "nonce")
        if key not in _SAID:
            _SAID[key] = nonce, await self._here.run(files, argv, timeout_s=timeout_s)
        old, said = _SAID[key]
        made = {
            name.replace(old, nonce): content.replace(old.encode(), nonce.encode())
            for name, content in said.files_out.items()
        }
        return replace(said, files_out=made)
