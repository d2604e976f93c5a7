"""What a job in the sandbox may use. Knows no Docker."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from zoran_ray.errors import ConfigError

_MIB = 1024 * 1024
_LEAST: Mapping[str, float] = {"memory_bytes": 32 * _MIB, "cpus": 0.01, "processes": 16, "open_files": 32}


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one job; the defaults fit the unit tests of a small repository.

    Attributes:
        timeout_s: Longest that a program may run, whatever its caller asks for.
        cpus: Cores that it may keep busy.
        memory_bytes: Memory, the files in its folders included; there is no swap beyond it.
        processes: Processes and threads, those of the sandbox itself included.
        open_files: Open files of one process.
        file_bytes: Size of one file that it writes.
        work_bytes: Room of its working folder, where files may be executed.
        tmp_bytes: Room of `/tmp`, where they may not.
        input_files: Number of files that it is given.
        input_bytes: Their contents together.
        kept_files: Number of files that it leaves in its working folder.
        kept_bytes: Their contents together; with more than that none is given back.
        output_bytes: What is kept of each of its two outputs: half from the start, half from the end.
        flood_bytes: What it may write to both outputs; it is ended at once when it writes more.
        environment: Variables that it sees besides those of the image; nothing else is passed on.

    Raises:
        ConfigError: A value is not a sensible number.
    """

    timeout_s: float = 120.0
    cpus: float = 1.0
    memory_bytes: int = 512 * _MIB
    processes: int = 128
    open_files: int = 256
    file_bytes: int = 64 * _MIB
    work_bytes: int = 64 * _MIB
    tmp_bytes: int = 64 * _MIB
    input_files: int = 4000
    input_bytes: int = 32 * _MIB
    kept_files: int = 4000
    kept_bytes: int = 32 * _MIB
    output_bytes: int = 256 * 1024
    flood_bytes: int = 64 * _MIB
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for one in fields(self):
            if one.name == "environment":
                continue
            value, least = getattr(self, one.name), _LEAST.get(one.name, 0)
            if not math.isfinite(value) or value <= 0 or value < least:
                raise ConfigError(
                    f"The sandbox's {one.name} is {value}; it must be a number of {least} or more, not 0.",
                    param=one.name,
                )
        for name, value in self.environment.items():
            if not name or "=" in name or "\0" in name + value:
                raise ConfigError(
                    "A variable for the sandbox has no proper name or value.", param="environment"
                )
