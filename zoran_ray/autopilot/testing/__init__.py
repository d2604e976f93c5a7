"""Whether a change works, shown by tests of the base commit. Knows no sandbox but by its protocol.

files = Harness().judged(base, changed)                # the base's tests, the changed code
run, said = await run_tests(sandbox, files, timeout_s=60)
evidence = compare(before, after, again)               # three runs
"""

from zoran_ray.autopilot.testing.canary import Canary
from zoran_ray.autopilot.testing.coverage import Lines, changed_lines, covered
from zoran_ray.autopilot.testing.evidence import Evidence, Run, compare
from zoran_ray.autopilot.testing.harness import HARNESS, Harness
from zoran_ray.autopilot.testing.junit import JUnitError, Outcome, read_junit
from zoran_ray.autopilot.testing.running import run_tests

__all__ = [
    "HARNESS", "Canary", "Evidence", "Harness", "JUnitError", "Lines", "Outcome", "Run", "changed_lines",
    "compare", "covered", "read_junit", "run_tests",
]  # fmt: skip
