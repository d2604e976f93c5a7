"""Runs a program of the operator's: an argument list, a minimal environment, a deadline. Knows no place.

What it writes to stderr is nobody's to read here; of stdout the end is kept.
"""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from zoran_ray.errors import ConfigError, DeadlineExceeded

MOST_KEPT_BYTES = 256 * 1024
_CHUNK_BYTES = 64 * 1024
_LOOK_S = 0.05
"""How often is looked whether the program has ended while something it started still holds its output."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended, and the end of what it wrote."""

    status: int
    stdout: str


def run(argv: Sequence[str], folder: Path, environ: Mapping[str, str], deadline_s: float) -> Ended:
    """Runs a program to its end. Blocks.

    Args:
        folder: Where it runs.
        environ: All its variables.
        deadline_s: Longest run, in seconds; then it is killed with all that it started in its group.

    Raises:
        ConfigError: There is no such program or folder.
        DeadlineExceeded: Its time was over. Whether it did something is not known.
    """
    try:
        process = subprocess.Popen(
            list(argv), cwd=folder, env=dict(environ), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise ConfigError(
            f"The program '{Path(argv[0]).name}' cannot be run in {folder}: {error.strerror}."
        ) from None
    try:
        kept = _read(process, time.monotonic() + deadline_s)
    except BaseException:
        _kill(process)
        raise
    finally:
        assert process.stdout is not None
        process.stdout.close()
    if kept is None:
        raise DeadlineExceeded(
            f"'{Path(argv[0]).name}' did not end within {deadline_s:g} s and was killed."
        )
    return Ended(process.wait(), kept.decode(errors="replace"))


def minimal_environ(names: Sequence[str] = ()) -> dict[str, str]:
    """Our PATH, HOME and LANG, and of our other variables those that the operator names."""
    wanted = ("PATH", "HOME", "LANG", *names)
    return {name: os.environ[name] for name in wanted if name in os.environ}


def _read(process: "subprocess.Popen[bytes]", deadline: float) -> bytes | None:
    """The end of its output once it has ended; None where it was killed for its time."""
    kept = bytearray()
    assert process.stdout is not None
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ)
        while True:
            ended = process.poll() is not None  # before reading: what it wrote is in the pipe by now
            rest_s = deadline - time.monotonic()
            if rest_s <= 0 and not ended:
                _kill(process)
                return None
            if ready.get_map() and ready.select(0 if ended else min(rest_s, _LOOK_S)):
                part = os.read(process.stdout.fileno(), _CHUNK_BYTES)
                if not part:
                    ready.unregister(process.stdout)
                kept = (kept + part)[-MOST_KEPT_BYTES:]
                if rest_s > 0:
                    continue
            elif not ended and not ready.get_map():
                time.sleep(min(rest_s, _LOOK_S))
            if ended:
                return bytes(kept)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:  # else its number may be another's by now
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
