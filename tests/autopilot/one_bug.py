"""One bug as the sets of bugs hold them, made up here."""

import json
from pathlib import Path

from benchmarks.autopilot.bugs import Bug, humaneval_bugs

ROW = {
    "task_id": "Python/7",
    "entry_point": "double",
    "prompt": "\n\ndef double(n: int) -> int:\n",
    "buggy_solution": "    return n + 2\n",
    "canonical_solution": "    return n * 2\n",
    "test": "\n\ndef check(double):\n    assert double(2) == 4\n    assert double(3) == 6\n\ncheck(double)",
}


def one_bug(folder: Path) -> Bug:
    """The bug, out of a file that is written there."""
    file = folder / "bugs.jsonl"
    file.write_text(f"{json.dumps(ROW)}\n")
    (bug,) = humaneval_bugs(file)
    return bug
