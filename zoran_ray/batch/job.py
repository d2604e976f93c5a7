"""One batch and one file, as their owners see them. Pure values."""

from dataclasses import dataclass, field
from typing import Literal

Status = Literal[
    "validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"
]
Ending = Literal["completed", "expired", "cancelled"]
FINISHED: frozenset[Status] = frozenset({"failed", "completed", "expired", "cancelled"})
MOST_ERRORS = 100
"""Faulty lines that a batch itself tells of; its file of errors has all."""


@dataclass(frozen=True, slots=True)
class FileInfo:
    """One file.

    Attributes:
        id: `file-` and 24 hex digits, made here.
        filename: As its owner calls it; never a path here.
        bytes: Its size.
        created: Unix time in seconds.
        expires: Unix time in seconds; None for never.
    """

    id: str
    purpose: str
    filename: str
    bytes: int
    created: int
    expires: int | None = None


@dataclass(frozen=True, slots=True)
class LineFault:
    """What is wrong with a line of the input file."""

    code: str
    line: int
    message: str


@dataclass(frozen=True, slots=True)
class Job:
    """One batch.

    Attributes:
        id: `batch_` and 24 hex digits.
        owner: The tenant whose it is; empty for keys without one.
        key_id: Key in whose name its lines are asked.
        endpoint: Path that all its lines ask for.
        window: The completion window as it was given, such as `24h`.
        created: Unix time in seconds, as are all times here; 0 for what did not happen.
        expires: When the completion window is over.
        total: Lines of the input file, faulty ones included.
        completed: Lines in the output file.
        failed: Lines in the file of errors.
        faults: Faulty lines, the first 100.
        ending: How it ends, once that is decided.
        nano_usd: What it did cost, in billionths of a USD.
    """

    id: str
    owner: str
    key_id: str
    endpoint: str
    input_file_id: str
    window: str
    created: int
    expires: int
    status: Status = "validating"
    metadata: dict[str, str] = field(default_factory=dict, repr=False)
    model: str = ""
    in_progress: int = 0
    finalizing: int = 0
    completed_at: int = 0
    failed_at: int = 0
    expired_at: int = 0
    cancelling: int = 0
    cancelled_at: int = 0
    total: int = 0
    completed: int = 0
    failed: int = 0
    output_file_id: str = ""
    error_file_id: str = ""
    faults: tuple[LineFault, ...] = ()
    ending: Ending | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    nano_usd: int = 0

    @property
    def finished(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in FINISHED
