"""A `Book` of two plain files: requests from one, answers appended to the other as they come.

What the second one holds is done: so a run that was killed goes on where it was. A last line that is only
half there is cut; a line is known by its number in the input file and its `custom_id`.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import orjson

from zoran_ray.batch.lines import BadLine, Line, Request, parse_line, read_lines
from zoran_ray.batch.outcome import Answered, Failed, entry, is_good
from zoran_ray.batch.runner import Done
from zoran_ray.errors import AlreadyRunning, ConfigError, StateDamaged, StorageFull

UNBOUNDED = 2**31

_ID = "line-"


@dataclass(slots=True)
class Counts:
    """How far a run is.

    Attributes:
        total: Lines that are no empty ones.
        before: Those of them that earlier runs have done.
        completed: Answered by this run.
        failed: Not answered, or with an error; faulty ones included.
        prompt_tokens, completion_tokens: Of this run.
        nano_usd: What this run did cost, in billionths of a USD, as far as the server says.
        faults: What is wrong with faulty lines, the first 100.
    """

    total: int = 0
    before: int = 0
    completed: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    nano_usd: int = 0
    faulty: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def done(self) -> int:
        """Lines that are in the output file."""
        return self.before + self.completed + self.failed


class OutputFile:
    """Use it in a `with`.

    Args:
        source: The requests.
        target: Where answers go; made when missing.
        model: Asked instead of the one that each line names.

    Raises:
        ConfigError: A file cannot be read or written, or the second one belongs to other requests.
        AlreadyRunning: Another run writes it.
    """

    def __init__(self, source: Path, target: Path, model: str | None = None) -> None:
        self._model = model
        self.counts = Counts()
        try:
            self._source = source.open("rb")
        except OSError as error:
            raise ConfigError(f"{source} cannot be read: {error.strerror}.", param="input") from None
        try:
            self._target = _opened(target)
            self._before, self._size = _found(self._target, target)
            self._survey(target)
        except BaseException:
            self.close()
            raise
        self._lines = self._left()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of both files."""
        self._source.close()
        if hasattr(self, "_target"):
            self._target.close()

    def request(self, line: Line) -> Request:
        """What a line asks for."""
        raw = os.pread(self._source.fileno(), line.size, line.at)
        return parse_line(raw, line.number, model=self._model)

    def settle(self, done: Sequence[Done], want: int) -> Sequence[Line]:
        """As in `Book`."""
        found: list[Line] = []
        bad: list[BadLine] = []
        while len(found) < want and (line := next(self._lines, None)) is not None:
            if isinstance(line, Line):
                found.append(line)
            else:
                bad.append(line)
        try:
            self._append(done, bad)
        except BaseException:
            # Nothing was written: what was taken comes again.
            self._lines = _chained([*bad, *found], self._lines)
            raise
        return found

    def _append(self, done: Sequence[Done], bad: Sequence[BadLine]) -> None:
        rows = [entry(f"{_ID}{each.line.number}", each.line.custom_id, each.outcome) for each in done]
        rows += [
            entry(f"{_ID}{each.number}", each.custom_id, Failed(each.code, each.message)) for each in bad
        ]
        if not rows:
            return
        try:
            self._target.seek(self._size)
            self._target.write(b"".join(rows))
            self._target.flush()
            os.fsync(self._target.fileno())
        except OSError as error:
            self._target.truncate(self._size)
            raise StorageFull(
                f"{self._target.name} cannot be written: {error.strerror}. Free some space."
            ) from None
        self._size += sum(len(row) for row in rows)
        for each in done:
            self._count(each)
        self.counts.failed += len(bad)

    def _count(self, done: Done) -> None:
        counts, outcome = self.counts, done.outcome
        if is_good(outcome):
            counts.completed += 1
        else:
            counts.failed += 1
        if isinstance(outcome, Answered):
            counts.prompt_tokens += outcome.usage.prompt_tokens
            counts.completion_tokens += outcome.usage.completion_tokens
            counts.nano_usd += outcome.nano_usd

    def _survey(self, target: Path) -> None:
        """Look at all lines once: how many there are, and whether the output is theirs."""
        counts = self.counts
        seen = 0
        for line in self._all():
            counts.total += 1
            if line.number in self._before:
                seen += 1
                if self._before[line.number] != line.custom_id:
                    raise _anothers(target)
            if isinstance(line, BadLine):
                counts.faulty += 1
                if len(counts.faults) < 100:
                    counts.faults.append(line.message)
        if seen != len(self._before):
            raise _anothers(target)
        counts.before = seen

    def _left(self) -> Iterator[Line | BadLine]:
        return (line for line in self._all() if line.number not in self._before)

    def _all(self) -> Iterator[Line | BadLine]:
        self._source.seek(0)
        return read_lines(self._source, model=self._model, most=UNBOUNDED)


def _opened(path: Path) -> BinaryIO:
    try:
        file = open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+b")  # noqa: PTH123, SIM115
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.", param="output") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise AlreadyRunning(f"Another run writes {path}. Wait for it, or name another file.") from None
    return file


def _found(file: BinaryIO, path: Path) -> tuple[dict[int, str | None], int]:
    """Numbers and names of the lines that are done, and where the last whole one ends; the rest is cut."""
    done: dict[int, str | None] = {}
    end = 0
    for number, raw in enumerate(file, 1):
        if not raw.endswith(b"\n"):
            break
        try:
            row: Any = orjson.loads(raw)
            done[int(row["id"].removeprefix(_ID))] = row["custom_id"]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise StateDamaged(
                f"Line {number} of {path} is no answer of `zoran batch run`. Name another output file."
            ) from None
        end += len(raw)
    file.truncate(end)
    return done, end


def _anothers(path: Path) -> ConfigError:
    return ConfigError(
        f"{path} has answers to other requests than those of the input file. Name another output file.",
        param="output",
    )


def _chained(first: Sequence[Line | BadLine], rest: Iterator[Line | BadLine]) -> Iterator[Line | BadLine]:
    yield from first
    yield from rest
