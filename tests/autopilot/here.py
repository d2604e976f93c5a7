"""Runs real pytest in a folder of this machine, without a sandbox's walls: for code of these tests alone.

Each run is a process of its own, forked from one that has imported pytest: it takes a third of the time.
"""

import asyncio
import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from _pytest.config import default_plugins

from tests.autopilot.forked import processes

for plugin in default_plugins:
    import_module(f"_pytest.{plugin}")


@dataclass(frozen=True)
class Ended:
    exit_status: int | None
    stdout: bytes
    stderr: bytes
    timed_out: bool
    files_out: Mapping[str, bytes]


class Here:
    """A `CodeRunner` for commands with `-m`. Args: folder: Gets a folder for each run, by its number."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs = 0

    async def run(self, files: Mapping[str, bytes], argv: Sequence[str], *, timeout_s: float) -> Ended:
        self._runs += 1
        work = self._folder / str(self._runs)
        for name, content in files.items():
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            (work / name).write_bytes(content)
        module = argv[argv.index("-m") + 1 :]
        process = processes.Process(target=_module, args=(work, tuple(module)))
        await asyncio.to_thread(process.start)
        try:
            await asyncio.to_thread(process.join, timeout_s)
            timed_out = process.exitcode is None
        finally:
            process.kill()
            process.join()
        if timed_out:
            return Ended(None, b"", b"", True, {})
        made = {path.name: path.read_bytes() for path in work.glob("*.*") if path.is_file()}
        out, err = (_said(work, what).read_bytes() for what in ("out", "err"))
        return Ended(process.exitcode, out, err, False, made)


def _said(work: Path, what: str) -> Path:
    return work.with_name(f"{work.name}.{what}")


def _module(work: Path, argv: Sequence[str]) -> None:
    """Runs a module as `python -m` does, in a folder, with little of what this process knows."""
    for stream, what in ((1, "out"), (2, "err")):
        os.dup2(os.open(_said(work, what), os.O_WRONLY | os.O_CREAT, 0o600), stream)
    os.environ.clear()
    os.environ.update(PATH=os.defpath, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    sys.dont_write_bytecode = True
    for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
        del sys.modules[name]
    ours = {"", str(Path.cwd()), str(Path(__file__).parents[2])}
    os.chdir(work)
    sys.path[:] = [str(work), *(path for path in sys.path if path not in ours)]
    sys.argv = list(argv)
    runpy.run_module(argv[0], run_name="__main__", alter_sys=True)
