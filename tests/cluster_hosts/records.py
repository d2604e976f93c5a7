"""What a fault cost: one line of JSON each, appended to the file that `ZORAN_FAULTS_FILE` names.

    {"fault": "SIGKILL of a raylet", "requests": 812, "answered": 790, "refused": 20, "cut": 2,
     "unreachable": 0, "hung": 0, "wrong": 0, "errors_gone_s": 1.9, "whole_again_s": 41.2,
     "lost": {"memory": 0, "journal": 0, "batch": 0, "tasks": 0},
     "doubled": {"memory": 0, "journal": 0, "batch": 0, "tasks": 0}, "beside": {...}}

Counted are non-streaming requests. `cut` and `unreachable`: at the host that was broken, whose clients no
program there can answer any more; `errors_gone_s`: seconds from the fault to the last request at another
host that was not answered (0: all were); `whole_again_s`: until every host answers and every replica
serves; null where nothing had to mend. `beside`: other figures of that test, by name. Figures that are no
fault's come as {"measured": "cold start", "first_token_s": 41.0, "whole_s": 55.2}.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

FILE = "ZORAN_FAULTS_FILE"


@dataclass
class FaultRecord:
    """One line; see above."""

    fault: str
    requests: int
    answered: int
    refused: int
    cut: int
    unreachable: int
    hung: int
    wrong: int
    errors_gone_s: float
    whole_again_s: float | None
    lost: Mapping[str, int]
    doubled: Mapping[str, int]
    beside: Mapping[str, float] = field(default_factory=dict)


def publish(record: FaultRecord) -> None:
    """Append it to the file, if there is to be one, and print it."""
    _write(json.dumps(asdict(record)))


def publish_beside(name: str, figures: Mapping[str, float]) -> None:
    """Figures that are no fault's: `{"measured": name, ...}`."""
    _write(json.dumps({"measured": name, **figures}))


def _write(line: str) -> None:
    print(f"\n{line}")
    if path := os.environ.get(FILE):
        with Path(path).open("a") as file:
            file.write(line + "\n")
