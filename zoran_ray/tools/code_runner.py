"""What runs a program apart from ours: for the tool `code` and for unit tests as verifiers.

Knows no sandbox: whoever has one brings it. What it gives back is a protocol too, so that a sandbox needs
nothing from here.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from zoran_ray.errors import SandboxUnavailable


class Ran(Protocol):
    """How a program ended."""

    @property
    def exit_status(self) -> int | None:
        """0 for success; None where it was ended, by its time or by another bound."""
        ...

    @property
    def stdout(self) -> bytes:
        """What it wrote, cut to what the runner bounds; it may be no UTF-8."""
        ...

    @property
    def stderr(self) -> bytes:
        """Likewise."""
        ...

    @property
    def timed_out(self) -> bool:
        """Whether it was ended because its time was over."""
        ...

    @property
    def files_out(self) -> Mapping[str, bytes]:
        """Files that it made or changed, by relative path, as far as the runner gives any back."""
        ...


class CodeRunner(Protocol):
    """A sandbox: no network, nothing of ours to read, bounded time, memory, processes, files and output."""

    async def run(self, files: Mapping[str, bytes], argv: Sequence[str], *, timeout_s: float) -> Ran:
        """Runs one program.

        Args:
            files: Contents by relative path, in a folder made for this run, which is its working folder.
            argv: The program and its arguments; no shell reads them.
            timeout_s: Longest that it may run, in seconds. A cancellation ends it at once.

        Raises:
            ZoranError: It could not be run at all. A program that fails is no error.
        """
        ...


class NoRunner:
    """Stands where there is no sandbox: nothing is ever run outside of one."""

    async def run(self, files: Mapping[str, bytes], argv: Sequence[str], *, timeout_s: float) -> Ran:
        """Raises: SandboxUnavailable: Always."""
        raise SandboxUnavailable("Code cannot be run here: this server has no sandbox.")
