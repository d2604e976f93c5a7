"""Bugs of HumanEvalPack as repositories, one each. Their answers are written to none of them.

Source: Muennighoff et al., OctoPack, 2023; `bigcode-project/octopack`, MIT.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from zoran_ray.autopilot.demo import write_repository


@dataclass(frozen=True, slots=True)
class Bug:
    """One bug.

    Attributes:
        name: Of the function and its number: `sort_third_33`.
        buggy: The file as it is in the repository.
        fixed: The file as it should be; it never leaves this process but as a model's answer.
        tests: The file of its tests.
    """

    name: str
    buggy: str = field(repr=False)
    fixed: str = field(repr=False)
    tests: str = field(repr=False)

    @property
    def path(self) -> str:
        """Of the file with the bug; no other bug's file has this name."""
        return f"{self.name}.py"

    @property
    def tests_path(self) -> str:
        """Of its tests."""
        return f"tests/test_{self.name}.py"

    @property
    def message(self) -> str:
        """What a person says of it."""
        return f"The tests of {self.path} fail."

    def files(self) -> Mapping[str, str]:
        """Of its repository."""
        return {"README.md": f"# {self.name}\n", self.path: self.buggy, self.tests_path: self.tests}

    def write(self, folder: Path) -> str:
        """Its repository; gives the commit."""
        return write_repository(folder, self.files())


def humaneval_bugs(file: Path) -> tuple[Bug, ...]:
    """The bugs of `python-64.jsonl`. Raises: OSError, ValueError: It is not there, or something else."""
    return tuple(_bug(json.loads(line)) for line in file.read_text().splitlines() if line.strip())


def _bug(row: Mapping[str, str]) -> Bug:
    function = row["entry_point"]
    name = f"{function}_{row['task_id'].rsplit('/', 1)[-1]}"
    checks = row["test"].strip().removesuffix(f"check({function})").rstrip()
    tests = (
        # Some tests use what stands beside the function.
        f"from {name} import *\n\n\n{checks}\n\n\ndef test_{function}():\n    check({function})\n"
    )
    head = row["prompt"].lstrip("\n")
    return Bug(name, head + row["buggy_solution"], head + row["canonical_solution"], tests)
