"""Real runs of pytest, each program run once: what it said is said again, with this run's unknown words."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tests.autopilot.here import Ended, Here

_TEST = re.compile(rb"def test_(\w+)")
_SECRET = re.compile(rb"assert False, '([0-9a-f]{8})' \+ '([0-9a-f]{8})'")
_SAID: dict[str, tuple[list[str], Ended]] = {}


class Recorded:
    """A `CodeRunner` for tests that ask for the same runs again and again. Args: here: Runs what is new."""

    def __init__(self, here: Here) -> None:
        self._here = here

    async def run(self, files: Mapping[str, bytes], argv: Sequence[str], *, timeout_s: float) -> Ended:
        words = _unknown(files, argv)
        key = _with(repr((sorted(files.items()), argv)), words, [f"word{n}" for n in range(len(words))])
        if key not in _SAID:
            _SAID[key] = words, await self._here.run(files, argv, timeout_s=timeout_s)
        old, said = _SAID[key]
        made = {
            _with(name, old, words): _with(content.decode("latin-1"), old, words).encode("latin-1")
            for name, content in said.files_out.items()
        }
        return replace(said, files_out=made)


def _unknown(files: Mapping[str, bytes], argv: Sequence[str]) -> list[str]:
    """The words that nobody could know before this run, always in one order."""
    (report,) = (word.partition("=")[2] for word in argv[-3:] if word.startswith("--junitxml="))
    plugin, canary = argv[argv.index(f"--junitxml={report}") - 1], argv[-1]
    secret = next(filter(None, map(_SECRET.search, files.values())), None)
    tests = [name.decode() for name in _TEST.findall(files[canary])]
    parts = [part.decode() for part in secret.groups()] if secret else []
    stem = canary.removeprefix("test_").removesuffix(".py")
    folders = [word.partition("=")[2] for word in argv if word.startswith("--ignore=")]
    return [report.removesuffix(".xml"), plugin, stem, *tests, *parts, *folders]


def _with(text: str, old: Sequence[str], new: Sequence[str]) -> str:
    by_old = dict(zip(old, new, strict=True))
    return re.sub("|".join(map(re.escape, old)), lambda match: by_old[match[0]], text)
