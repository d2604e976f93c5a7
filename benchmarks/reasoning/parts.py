"""What a long run has found so far, on disk as it comes: a run that was cut goes on where it was."""

import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any


class Parts:
    """Finished parts of one run, a JSON line each. The first line says of which run.

    A file of another run is begun anew; so is what follows a line that was cut.

    Args:
        path: The file; its folder is made.
        run: What must be equal for parts to count: settings, models, code.
    """

    def __init__(self, path: Path, run: Mapping[str, Any]) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        head, self._found = json.dumps(run, sort_keys=True), {}
        lines = path.read_text().splitlines() if path.exists() else []
        if lines and lines[0] == head:
            self._found = _read(lines[1:])
        kept = [head, *(json.dumps(part) for part in self._found.items())]
        path.write_text("\n".join(kept) + "\n")

    def __len__(self) -> int:
        return len(self._found)

    async def part(self, name: str, made: Callable[[], Awaitable[Any]]) -> Any:
        """What a part has found, as plain values: from the file, or measured now and written."""
        if name not in self._found:
            print(f"{name} …", file=sys.stderr)
            found = json.loads(json.dumps(await made()))
            with self._path.open("a") as file:
                file.write(json.dumps([name, found]) + "\n")
            self._found[name] = found
        return self._found[name]

    def end(self) -> None:
        """The run is whole: the next one begins anew."""
        self._path.unlink(missing_ok=True)


def _read(lines: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for line in lines:
        try:
            name, value = json.loads(line)
        except (ValueError, TypeError):
            break
        found[name] = value
    return found
